import { spawnSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { logPath } from "@berth/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { diskFileStore } from "./disk-file-store.ts";

const isRoot = process.getuid!() === 0;
const owner = isRoot ? { uid: 20_001, gid: 20_001 } : { uid: process.getuid!(), gid: process.getgid!() };
const other = { uid: 20_002, gid: 20_002 };
const outside = { code: "invalid", reason: "PATH_OUTSIDE" };
const attempt = { epoch: "e", taskId: "17.4", attempt: 1 };

/** What a task's user may do to the directories of its task, and to those that an earlier Berth gave it. */
describe("diskFileStore and a hostile user", () => {
  let root: string;
  let secret: string;
  let files: ReturnType<typeof diskFileStore>;
  const unremovable: string[] = [];
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "berth-files-"));
    files = diskFileStore(join(root, "files"), {
      maxFileBytes: 1_000_000,
      onUnremovable: (path) => unremovable.push(path),
    });
    secret = join(root, "secret");
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  async function* of(...pieces: string[]) {
    for (const piece of pieces) yield Buffer.from(piece);
  }
  const add = (taskId: string, path: string | Buffer, text = "x") =>
    files.addFile(taskId, { path, executable: false, owner }, of(text));
  async function text(taskId: string, path: string | Buffer): Promise<string> {
    const pieces: Buffer[] = [];
    for await (const piece of (await files.read(taskId, path, owner)).content) pieces.push(piece);
    return Buffer.concat(pieces).toString();
  }
  const log = async () => Buffer.from(await files.readLog(attempt, "stdout", owner, 0, 100)).toString();

  it.each(["0", "0/17", "0/17/e", "0/17/e/0", "0/17/e/0/4"])("follows no link at %s", async (level) => {
    await add("17.4", "a", "mine");
    await files.appendLog(attempt, "stdout", owner, 0, Buffer.from("mine"));
    const path = join(root, "files", level);
    renameSync(path, secret);
    symlinkSync(secret, path);
    await expect(files.read("17.4", "a", owner)).rejects.toMatchObject(outside);
    await expect(files.list("17.4", "", owner)).rejects.toMatchObject(outside);
    await expect(add("17.4", "b")).rejects.toMatchObject(outside);
    if (level !== "0/17/e/0/4") {
      expect(await log()).toBe("");
      await expect(files.appendLog(attempt, "stdout", owner, 4, Buffer.from("more"))).rejects.toMatchObject(outside);
    }
    await files.clean("17.4").catch(() => {}); // it may refuse
    expect(
      readFileSync(join(secret, level.length < 10 ? `${"0/17/e/0/4".slice(level.length + 1)}/a` : "a"), "utf8"),
    ).toBe("mine");
  });

  it("reads and appends to no output that a link leads to", async () => {
    writeFileSync(secret, "secret");
    const path = join(root, "files", logPath(attempt, "stdout"));
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(secret, path);
    expect(await log()).toBe("");
    await expect(files.appendLog(attempt, "stdout", owner, 6, Buffer.from("more"))).rejects.toMatchObject(outside);
    expect(readFileSync(secret, "utf8")).toBe("secret");
  });

  it("reads no output that is not a file, and does not wait for a pipe", async () => {
    const path = join(root, "files", logPath(attempt, "stdout"));
    mkdirSync(dirname(path), { recursive: true });
    spawnSync("mkfifo", [path]);
    expect(await log()).toBe("");
    await expect(files.appendLog(attempt, "stdout", owner, 0, Buffer.from("x"))).rejects.toMatchObject({
      reason: "NOT_A_FILE",
    });
    rmSync(path);
    mkdirSync(path);
    expect(await log()).toBe("");
  });

  it.runIf(isRoot)("reads nothing that belongs to another, by whatever name", async () => {
    await add("17.4", "a");
    const dir = files.getTaskDir("17.4");
    writeFileSync(secret, "secret");
    chownSync(secret, other.uid, other.gid);
    linkSync(secret, join(dir, "hard"));
    await expect(files.read("17.4", "hard", owner)).rejects.toMatchObject(outside);
    const path = join(root, "files", logPath(attempt, "stdout"));
    linkSync(secret, path);
    expect(await log()).toBe("");
    await expect(files.appendLog(attempt, "stdout", owner, 6, Buffer.from("x"))).rejects.toMatchObject(outside);
    mkdirSync(join(dir, "theirs"));
    chownSync(join(dir, "theirs"), other.uid, other.gid);
    await expect(files.list("17.4", "theirs", owner)).rejects.toMatchObject(outside);
    await expect(add("17.4", "theirs/b")).rejects.toMatchObject(outside);
    // A whole directory of another, under the name of this task's.
    chownSync(dir, other.uid, other.gid);
    await expect(files.list("17.4", "", owner)).rejects.toMatchObject(outside);
    await expect(files.read("17.4", "a", owner)).rejects.toMatchObject(outside);
    await expect(add("17.4", "b")).rejects.toMatchObject(outside);
    expect(readFileSync(secret, "utf8")).toBe("secret");
  });

  it.runIf(isRoot)("walks into no other file system, and puts aside what cannot be removed", async () => {
    await add("17", "a");
    const mount = join(files.getTaskDir("17"), "mount");
    mkdirSync(mount);
    chownSync(mount, owner.uid, owner.gid);
    if (spawnSync("mount", ["-t", "tmpfs", "-o", `uid=${owner.uid}`, "none", mount]).status !== 0) return;
    writeFileSync(join(mount, "kept"), "");
    try {
      await expect(files.list("17", "mount", owner)).rejects.toMatchObject(outside);
      await files.clean("17");
      expect(existsSync(join(root, "files/0/17"))).toBe(false);
      expect(readdirSync(join(unremovable[0]!, "work/mount"))).toEqual(["kept"]);
    } finally {
      for (const path of [mount, join(unremovable[0] ?? "", "work/mount")]) spawnSync("umount", ["-l", path]);
    }
  });

  it("removes directories nested deeper than there are descriptors", async () => {
    await add("17", "a");
    const nest = spawnSync(
      "python3",
      ["-c", "import os\nfor n in range(1000):\n  os.mkdir('deep'); os.chdir('deep'); open('f', 'w').close()"],
      { cwd: files.getTaskDir("17"), encoding: "utf8" },
    );
    expect(nest.stderr).toBe("");
    const open = () => readdirSync("/proc/self/fd").length;
    const before = open();
    let most = 0;
    const looking = setInterval(() => (most = Math.max(most, open() - before)), 1);
    await files.clean("17");
    clearInterval(looking);
    expect(readdirSync(join(root, "files/0"))).toEqual([]);
    expect(most).toBeLessThan(100);
  });

  it("lists, reads and replaces names of any bytes", async () => {
    await files.createTaskDir("17", [{ path: "ü", content: Buffer.from("u"), executable: false }], owner);
    const name = Buffer.from([0x61, 0xff, 0x5c]);
    await add("17", Buffer.concat([Buffer.from("d/"), name]), "bytes");
    expect(await text("17", Buffer.concat([Buffer.from("d/"), name]))).toBe("bytes");
    expect((await files.list("17", "d", owner)).entries).toEqual([
      { name: "a\\xff\\x5c", nameBytes: name, sizeBytes: 5, directory: false },
    ]);
    expect((await files.list("17", "", owner)).entries.map(({ name: shown }) => shown)).toEqual(["d", "ü"]);
    await files.clean("17");
    expect(readdirSync(join(root, "files/0"))).toEqual([]);
  });

  it("refuses a file that is too large, and leaves nothing of it", async () => {
    const large = files.addFile(
      "17",
      { path: "a", executable: false, owner },
      of("x".repeat(600_000), "x".repeat(400_001)),
    );
    await expect(large).rejects.toMatchObject({
      code: "invalid",
      reason: "FILE_TOO_LARGE",
      metadata: { field: "content" },
    });
    expect((await files.list("17", "", owner)).entries).toEqual([]);
    expect(readdirSync(join(root, "files/drafts"))).toEqual([]);
  });

  it("keeps drafts where no task is, and removes those whose writer died, never a live one", async () => {
    const started = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    async function* slow() {
      yield Buffer.from("one");
      started.resolve();
      await go.promise;
      yield Buffer.from("two");
    }
    const adding = files.addFile("17", { path: "a", executable: false, owner }, slow());
    await started.promise;
    expect((await files.list("17", "", owner)).entries).toEqual([]);
    expect(lstatSync(join(root, "files/drafts")).mode & 0o777).toBe(0o700);
    const left = join(root, "files/drafts/left");
    writeFileSync(left, "half");
    utimesSync(left, new Date(0), new Date(0));
    expect(await files.removeOldDrafts(new Date(Date.now() - 60_000))).toBe(1);
    go.resolve();
    expect(await adding).toBe(6);
    expect(readdirSync(join(root, "files/drafts"))).toEqual([]);
  });
});
