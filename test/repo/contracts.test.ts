import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const buf = join(root, "node_modules/.bin/buf");
const path = `${join(root, "node_modules/.bin")}:${process.env["PATH"]}`;

/** Files below a folder, relative to it. */
const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => statSync(join(folder, name)).isFile());

describe("generated code", () => {
  it("is what buf makes of the protos now", () => {
    const out = mkdtempSync(join(tmpdir(), "berth-gen-"));
    try {
      const template = readFileSync(join(root, "proto/buf.gen.yaml"), "utf8")
        .replace("out: libs/contracts/src/gen", `out: ${out}`)
        .replace("clean: true", "clean: false");
      writeFileSync(join(out, "buf.gen.yaml"), template);
      execFileSync(buf, ["generate", "proto", "--template", join(out, "buf.gen.yaml")], {
        cwd: root,
        env: { ...process.env, PATH: path },
      });
      rmSync(join(out, "buf.gen.yaml"));
      execFileSync(buf, ["build", "proto", "-o", join(out, "descriptors.binpb")], {
        cwd: root,
        env: { ...process.env, PATH: path },
      });
      const committed = join(root, "libs/contracts/src/gen");
      expect(filesBelow(out).toSorted()).toEqual(filesBelow(committed).toSorted());
      const stale = filesBelow(out).filter(
        (name) => !readFileSync(join(out, name)).equals(readFileSync(join(committed, name))),
      );
      expect(stale, "run npm run proto").toEqual([]);
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  });

  it("breaks no one who speaks what main speaks", () => {
    const git = (...args: string[]) => spawnSync("git", args, { cwd: root, encoding: "utf8" });
    const base = ["main", "origin/main"].find((ref) => git("cat-file", "-e", `${ref}:proto/buf.yaml`).status === 0);
    if (!base) throw new Error("there is no main to compare with");
    const ran = spawnSync(buf, ["breaking", "proto", "--against", `.git#branch=${base},subdir=proto`], {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, PATH: path },
    });
    expect(ran.stdout + ran.stderr).toBe("");
  });
});

describe("documents", () => {
  it("each decision has a status and a date, and stands in the index", () => {
    const folder = join(root, "docs/adr");
    const index = readFileSync(join(folder, "README.md"), "utf8");
    const decisions = readdirSync(folder).filter((name) => name !== "README.md");
    expect(decisions.length).toBeGreaterThan(0);
    for (const name of decisions) {
      expect(name).toMatch(/^\d{4}-[a-z0-9-]+\.md$/);
      expect(readFileSync(join(folder, name), "utf8"), name).toMatch(
        /^# .+\nStatus: (accepted|superseded by \d{4}) · Date: \d{4}-\d\d-\d\d\n/,
      );
      expect(index).toContain(`(${name})`);
    }
  });

  it("the README is short, and every service has one of at most 40 lines", () => {
    expect(readFileSync(join(root, "README.md"), "utf8").split("\n").length).toBeLessThanOrEqual(121);
    for (const service of readdirSync(join(root, "services"))) {
      const lines = readFileSync(join(root, "services", service, "README.md"), "utf8").split("\n");
      expect(lines.length, service).toBeLessThanOrEqual(41);
    }
  });

  it("source files stay small", () => {
    const listed = execFileSync("git", ["ls-files", "*.ts"], { cwd: root, encoding: "utf8" }).split("\n");
    const large = listed
      .filter((name) => name !== "" && !name.includes("/gen/") && !name.includes(".test."))
      .filter((name) => readFileSync(join(root, name), "utf8").split("\n").length > 400);
    expect(large).toEqual([]);
  });
});
