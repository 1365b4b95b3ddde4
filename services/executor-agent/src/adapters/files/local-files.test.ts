import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { localFiles } from "./local-files.ts";

const isRoot = process.getuid?.() === 0;
const ann = isRoot ? { uid: 20_001, gid: 20_001 } : { uid: process.getuid!(), gid: process.getgid!() };
const run = (taskId: string) => ({ epoch: "e", taskId, attempt: 1 });

describe("localFiles", () => {
  let dir: string;
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "berth-files-"))));
  afterEach(() => rmSync(dir, { recursive: true }));
  const files = (tasksWriteOutput = true) =>
    localFiles({ root: join(dir, "files"), controlDir: join(dir, "control"), tasksWriteOutput });
  const own = () => ({ uid: process.getuid?.(), gid: process.getgid?.() });

  it("gives its user the innermost directories and the output, and nothing above them", () => {
    const place = files().prepare(run("17.4"), ann);
    expect(place.taskDir).toBe(join(dir, "files/0/17/e/0/4"));
    expect(place.stdoutPath).toBe(join(dir, "files/0/17/e/0/4.1.out"));
    for (const path of [place.taskDir, place.arrayDir]) {
      expect(lstatSync(path)).toMatchObject(ann);
      expect(lstatSync(path).mode & 0o777).toBe(0o700);
    }
    for (const path of ["", "/0", "/0/17", "/0/17/e", "/0/17/e/0"]) {
      expect(lstatSync(join(dir, "files", path))).toMatchObject(own());
      expect(lstatSync(join(dir, "files", path)).mode & 0o777).toBe(0o711);
    }
    if (!isRoot) return; // then the user makes them
    expect(lstatSync(place.stdoutPath)).toMatchObject(ann);
    expect(lstatSync(place.stderrPath).mode & 0o777).toBe(0o600);
  });

  it("makes no output files where the driver writes them", () => {
    expect(existsSync(files(false).prepare(run("17"), ann).stdoutPath)).toBe(false);
  });

  it("makes again what was removed, and leaves what a run has written", () => {
    const made = files();
    const place = made.prepare(run("17.4"), ann);
    rmSync(join(dir, "files/0/17"), { recursive: true });
    made.prepare(run("17.5"), ann);
    expect(lstatSync(place.arrayDir)).toMatchObject(ann);
    made.prepare(run("17.4"), ann);
    writeFileSync(place.stdoutPath, "written");
    made.prepare(run("17.4"), ann);
    expect(readFileSync(place.stdoutPath, "utf8")).toBe("written");
  });

  it("takes over what storage made for files added at submit", () => {
    mkdirSync(join(dir, "files/0/17/work"), { recursive: true });
    const place = files().prepare(run("17"), ann);
    expect(lstatSync(place.taskDir)).toMatchObject(ann);
  });

  it.runIf(isRoot)("takes back a directory that an earlier Berth gave to the user", () => {
    mkdirSync(join(dir, "files/0/17/e/0"), { recursive: true });
    for (const path of ["0/17", "0/17/e", "0/17/e/0"]) chownSync(join(dir, "files", path), ann.uid, ann.gid);
    files().prepare(run("17.4"), ann);
    for (const path of ["0/17", "0/17/e", "0/17/e/0"])
      expect(lstatSync(join(dir, "files", path))).toMatchObject({ uid: 0, mode: 0o40711 });
  });

  it.runIf(isRoot)("gives no user what another wrote in an earlier life of the database", () => {
    const bob = { uid: 20_002, gid: 20_002 };
    const place = files().prepare(run("17"), bob);
    writeFileSync(place.stdoutPath, "bob's");
    writeFileSync(join(place.taskDir, "secret"), "bob's");
    expect(files().prepare(run("17"), ann)).toEqual(place);
    expect(lstatSync(place.taskDir)).toMatchObject(ann);
    expect(readdirSync(place.taskDir)).toEqual([]);
    expect(lstatSync(place.stdoutPath)).toMatchObject({ ...ann, size: 0 });
  });

  it("refuses a link where a directory should be, at each level, and changes nothing behind it", () => {
    mkdirSync(join(dir, "other/0"), { recursive: true });
    for (const level of ["0", "0/17", "0/17/e", "0/17/e/0"]) {
      rmSync(join(dir, "files"), { recursive: true, force: true });
      mkdirSync(dirname(join(dir, "files", level)), { recursive: true });
      symlinkSync(join(dir, "other"), join(dir, "files", level));
      expect(() => files().prepare(run("17.4"), ann), level).toThrow(
        expect.objectContaining({ reason: "TASK_DIR_UNSAFE" }),
      );
    }
    expect(readdirSync(join(dir, "other"))).toEqual(["0"]);
    expect(lstatSync(join(dir, "other"))).toMatchObject(own());
  });

  it("writes a script once a spec, for its user to read and run", () => {
    const made = files();
    const { path } = made.writeScript(3, "echo hello", ann);
    expect(made.writeScript(3, "echo hello", ann).path).toBe(path);
    expect(readFileSync(path, "utf8")).toBe("echo hello");
    expect(lstatSync(path)).toMatchObject(ann);
    expect(lstatSync(path).mode & 0o777).toBe(0o500);
    // The same id in a later life of the journal is another script.
    expect(readFileSync(files().writeScript(3, "echo other", ann).path, "utf8")).toBe("echo other");
    made.writeScript(4, "x", ann);
    files().keepScripts(new Set([4]));
    expect(readdirSync(join(dir, "control"))).toEqual(["4"]);
  });
});
