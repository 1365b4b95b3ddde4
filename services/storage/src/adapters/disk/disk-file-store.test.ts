import { execFileSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FileStore } from "../../ports/file-store.ts";
import { diskFileStore } from "./disk-file-store.ts";

describe("diskFileStore", () => {
  const isRoot = process.getuid!() === 0;
  const owner = isRoot ? { uid: 20_001, gid: 20_002 } : { uid: process.getuid!(), gid: process.getgid!() };
  const outside = { code: "invalid", reason: "PATH_OUTSIDE" };
  let root: string;
  let files: FileStore;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "berth-files-"));
    files = diskFileStore(root);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  async function* of(...pieces: string[]) {
    for (const piece of pieces) yield Buffer.from(piece);
  }
  const text = async (path: string, taskId = "17") => {
    const { content } = await files.read(taskId, path, owner);
    const pieces: Buffer[] = [];
    for await (const piece of content) pieces.push(piece);
    return Buffer.concat(pieces).toString();
  };
  const input = (path: string, content = "x", executable = false) => ({
    path,
    content: Buffer.from(content),
    executable,
  });

  it("puts a new task's files in place, its user's, whatever was there before", async () => {
    mkdirSync(join(root, "0/17/work"), { recursive: true });
    writeFileSync(join(root, "0/17/1.out"), "of another life");
    writeFileSync(join(root, "0/17/work/old"), "of another life");
    await files.createTaskDir("17", [input("in/a.txt", "hello"), input("run.sh", "#!/bin/sh", true)], owner);
    expect(await text("in/a.txt")).toBe("hello");
    expect((await files.list("17", "", owner)).entries).toEqual([
      { name: "in", sizeBytes: 0, directory: true },
      { name: "run.sh", sizeBytes: 9, directory: false },
    ]);
    expect(existsSync(join(root, "0/17/1.out"))).toBe(false);
    const modes = ["", "in", "in/a.txt", "run.sh"].map((path) => statSync(join(files.getTaskDir("17"), path)));
    expect(modes.map(({ mode }) => (mode & 0o777).toString(8))).toEqual(["700", "700", "600", "700"]);
    expect(modes.map(({ uid, gid }) => [uid, gid])).toEqual(modes.map(() => [owner.uid, owner.gid]));
    expect(statSync(join(root, "0/17")).mode & 0o011).toBe(0o011); // others pass through, to what is theirs
  });

  it("adds, replaces and streams files of tasks and elements", async () => {
    expect(await files.addFile("17", { path: "d/a", executable: false, owner }, of("one", "two"))).toBe(6);
    expect(await files.addFile("17", { path: "d/a", executable: true, owner }, of("3"))).toBe(1);
    expect(await text("d/a")).toBe("3");
    const big = "x".repeat(600_000);
    await files.addFile("17.4", { path: "big", executable: false, owner }, of(big));
    const { sizeBytes, content } = await files.read("17.4", "big", owner);
    const sizes: number[] = [];
    for await (const piece of content) sizes.push(piece.length);
    expect([sizeBytes, Math.max(...sizes) <= 256 * 1024, sizes.reduce((a, b) => a + b)]).toEqual([
      600_000,
      true,
      600_000,
    ]);
    await expect(files.addFile("17", { path: "d", executable: false, owner }, of("x"))).rejects.toMatchObject({
      reason: "NOT_A_FILE",
    });
    expect((await files.list("17", "", owner)).entries.map(({ name }) => name)).toEqual(["d"]); // no draft is left
  });

  it("leaves nothing of a file whose sender failed", async () => {
    await files.addFile("17", { path: "a", executable: false, owner }, of("old"));
    const broken = async function* () {
      yield Buffer.from("half");
      throw new Error("connection lost");
    };
    await expect(files.addFile("17", { path: "a", executable: false, owner }, broken())).rejects.toThrow(
      "connection lost",
    );
    expect(await text("a")).toBe("old");
    expect((await files.list("17", "", owner)).entries.map(({ name }) => name)).toEqual(["a"]);
  });

  it("refuses paths that lead out", async () => {
    for (const path of ["../x", "a/../../x", "/etc/passwd"]) {
      await expect(files.addFile("17", { path, executable: false, owner }, of("x"))).rejects.toMatchObject(outside);
      await expect(files.createTaskDir("18", [input(path)], owner)).rejects.toMatchObject(outside);
      await expect(files.read("17", path, owner)).rejects.toMatchObject(outside);
      await expect(files.list("17", path, owner)).rejects.toMatchObject(outside);
    }
    expect(existsSync(join(root, "x"))).toBe(false);
  });

  it("follows no link that the task has made", async () => {
    await files.createTaskDir("17", [input("a")], owner);
    const dir = files.getTaskDir("17");
    const secret = join(root, "secret");
    mkdirSync(secret);
    writeFileSync(join(secret, "key"), "not yours");
    symlinkSync(secret, join(dir, "dir"));
    symlinkSync(join(secret, "key"), join(dir, "file"));
    symlinkSync("a", join(dir, "inner")); // refused too: it may point elsewhere in a moment
    await expect(files.read("17", "file", owner)).rejects.toMatchObject(outside);
    await expect(files.read("17", "inner", owner)).rejects.toMatchObject(outside);
    await expect(files.read("17", "dir/key", owner)).rejects.toMatchObject(outside);
    await expect(files.list("17", "dir", owner)).rejects.toMatchObject(outside);
    await expect(files.addFile("17", { path: "dir/new", executable: false, owner }, of("x"))).rejects.toMatchObject(
      outside,
    );
    await files.addFile("17", { path: "file", executable: false, owner }, of("mine")); // replaces the link itself
    expect(readFileSync(join(secret, "key"), "utf8")).toBe("not yours");
    expect(existsSync(join(secret, "new"))).toBe(false);
    expect((await files.list("17", "", owner)).entries.map(({ name, directory }) => [name, directory])).toEqual([
      ["a", false],
      ["dir", false],
      ["file", false],
      ["inner", false],
    ]);
  });

  it("does not wait for a pipe, and reads no directory as a file", async () => {
    await files.createTaskDir("17", [input("d/a")], owner);
    execFileSync("mkfifo", [join(files.getTaskDir("17"), "pipe")]);
    await expect(files.read("17", "pipe", owner)).rejects.toMatchObject({ reason: "NOT_A_FILE" });
    await expect(files.read("17", "d", owner)).rejects.toMatchObject({ reason: "NOT_A_FILE" });
    await expect(files.read("17", "none", owner)).rejects.toMatchObject({
      code: "not-found",
      reason: "FILE_NOT_FOUND",
    });
    await expect(files.read("17", "d/a/b", owner)).rejects.toMatchObject({ code: "not-found" });
    await expect(files.list("17", "none", owner)).rejects.toMatchObject({ code: "not-found" });
    expect(await files.list("999", "", owner)).toEqual({ entries: [], truncated: false });
  });

  it("lists at most ten thousand entries, and says that more are there", async () => {
    await files.createTaskDir("17", [], owner);
    const dir = files.getTaskDir("17");
    writeFileSync(join(dir, "f0"), "");
    for (let i = 1; i < 10_001; i++) linkSync(join(dir, "f0"), join(dir, `f${i}`)); // cheaper than files
    const { entries, truncated } = await files.list("17", "", owner);
    expect([entries.length, truncated]).toEqual([10_000, true]);
  });

  it("removes all of a task, and of an element only its own", async () => {
    await files.createTaskDir("17", [input("shared")], owner);
    for (const id of ["17.1", "17.2"]) await files.addFile(id, { path: "a", executable: false, owner }, of("x"));
    await files.clean("17.1");
    expect([
      existsSync(files.getTaskDir("17.1")),
      existsSync(files.getTaskDir("17.2")),
      existsSync(files.getTaskDir("17")),
    ]).toEqual([false, true, true]);
    await files.clean("17");
    await files.clean("17");
    expect(existsSync(join(root, "0/17"))).toBe(false);
  });

  it("appends output where it goes on, and answers with what is stored", async () => {
    const run = { epoch: "e", taskId: "17.4", attempt: 1 };
    const append = (offset: number, bytes: string) => files.appendLog(run, "stdout", owner, offset, Buffer.from(bytes));
    expect(await append(0, "hello ")).toBe(6);
    expect(await append(0, "hello ")).toBe(6); // a repeat whose answer was lost
    expect(await append(9, "gap")).toBe(6);
    expect(await append(6, "world")).toBe(11);
    expect(await append(11, "")).toBe(11);
    expect(Buffer.from(await files.readLog(run, "stdout", owner, 6, 3)).toString()).toBe("wor");
    expect(await files.readLog(run, "stdout", owner, 11, 10)).toHaveLength(0);
    expect(await files.readLog(run, "stderr", owner, 0, 10)).toHaveLength(0);
    const offsets = await Promise.all(Array.from({ length: 20 }, () => append(11, "!")));
    expect(offsets.every((size) => size === 12)).toBe(true); // one of them won, the others were told
  });
});
