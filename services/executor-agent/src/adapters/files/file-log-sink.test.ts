import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { logPath } from "@berth/core";
import type { Run } from "@berth/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fileLogSink } from "./file-log-sink.ts";

const run: Run = { epoch: "e", taskId: "17.4", attempt: 1 };
const hello = Buffer.from("hello");

describe("fileLogSink", () => {
  let root: string;
  let path: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "berth-sink-"));
    path = join(root, "files", logPath(run, "stdout"));
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const sink = () => fileLogSink(join(root, "files"));

  it("appends at the size that is there, and tells it", async () => {
    const to = sink();
    expect(await to.append(run, "stdout", 0, hello)).toBe(5);
    expect(await to.append(run, "stdout", 0, hello)).toBe(5);
    expect(await to.append(run, "stdout", 5, hello)).toBe(10);
    expect(await to.size(run, "stdout")).toBe(10);
    expect(readFileSync(path, "utf8")).toBe("hellohello");
    rmSync(join(root, "files/0"), { recursive: true });
    expect(await to.append(run, "stdout", 0, hello)).toBe(5);
  });

  it("appends to nothing that a link leads to, at any level", async () => {
    const secret = join(root, "secret");
    writeFileSync(secret, "not the task's");
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(secret, path);
    await expect(sink().append(run, "stdout", 14, hello)).rejects.toMatchObject({ reason: "TASK_DIR_UNSAFE" });
    expect(readFileSync(secret, "utf8")).toBe("not the task's");
    for (const level of ["0/17/e/0", "0/17/e", "0/17", "0"]) {
      mkdirSync(join(root, `other-${level}`), { recursive: true });
      rmSync(join(root, "files", level), { recursive: true });
      symlinkSync(join(root, `other-${level}`), join(root, "files", level));
      await expect(sink().append(run, "stdout", 0, hello), level).rejects.toMatchObject({ reason: "TASK_DIR_UNSAFE" });
      expect(existsSync(path)).toBe(false);
    }
  });

  it.runIf(process.getuid?.() === 0)("appends to no file of another", async () => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "");
    chownSync(path, 20_002, 20_002);
    await expect(sink().append(run, "stdout", 0, hello)).rejects.toMatchObject({ reason: "TASK_DIR_UNSAFE" });
    expect(lstatSync(path).size).toBe(0);
  });
});
