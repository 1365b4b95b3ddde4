import { lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { localFiles } from "./local-files.ts";

const isRoot = process.getuid?.() === 0;
const ann = isRoot ? { uid: 20_001, gid: 20_001 } : { uid: process.getuid!(), gid: process.getgid!() };
const run = (taskId: string) => ({ epoch: "e", taskId, attempt: 1 });

describe("localFiles", () => {
  let dir: string;
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "berth-files-"))));
  afterEach(() => rmSync(dir, { recursive: true }));
  const files = (makes: "base" | "all") =>
    localFiles({ root: join(dir, "files"), controlDir: join(dir, "control"), makes });

  it("makes all of an element's directories, and gives its user the innermost only", () => {
    const place = files("all").prepare(run("17.4"), ann);
    expect(place.taskDir).toBe(join(dir, "files/0/17/e/0/4"));
    expect(place.stdoutPath).toBe(join(dir, "files/0/17/e/0/4.1.out"));
    expect(lstatSync(place.taskDir)).toMatchObject(ann);
    expect(lstatSync(place.arrayDir)).toMatchObject(ann);
    expect(lstatSync(join(dir, "files/0/17")).uid).toBe(process.getuid?.());
  });

  it("makes a task's base only, and gives it to its user, where the driver does the rest", () => {
    const place = files("base").prepare(run("17"), ann);
    const base = lstatSync(join(dir, "files/0/17"));
    expect(base).toMatchObject(ann);
    expect(base.mode & 0o777).toBe(0o700);
    expect(lstatSync(place.taskDir, { throwIfNoEntry: false })).toBeUndefined();
  });

  it("takes over what storage made for files added at submit", () => {
    mkdirSync(join(dir, "files/0/17/work"), { recursive: true });
    files("base").prepare(run("17"), ann);
    expect(lstatSync(join(dir, "files/0/17"))).toMatchObject(ann);
  });

  it("refuses a link where a directory should be, and changes nothing behind it", () => {
    mkdirSync(join(dir, "files/0"), { recursive: true });
    mkdirSync(join(dir, "other"));
    symlinkSync(join(dir, "other"), join(dir, "files/0/17"));
    expect(() => files("base").prepare(run("17"), ann)).toThrow(expect.objectContaining({ reason: "TASK_DIR_UNSAFE" }));
    expect(lstatSync(join(dir, "other")).uid).toBe(process.getuid?.());
  });

  it("writes a script once a spec, for its user to read and run", () => {
    const made = files("base");
    const { path } = made.writeScript(3, "echo hello", ann);
    expect(made.writeScript(3, "echo hello", ann).path).toBe(path);
    expect(readFileSync(path, "utf8")).toBe("echo hello");
    expect(lstatSync(path)).toMatchObject(ann);
    expect(lstatSync(path).mode & 0o777).toBe(0o500);
    // The same id in a later life of the journal is another script.
    expect(readFileSync(files("base").writeScript(3, "echo other", ann).path, "utf8")).toBe("echo other");
    made.writeScript(4, "x", ann);
    files("base").keepScripts(new Set([4]));
    expect(readdirSync(join(dir, "control"))).toEqual(["4"]);
  });
});
