import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { layoutOf } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { takeLock } from "./lock.ts";
import { findProcess, rememberProcess } from "./processes.ts";

let data: string;
let layout: Layout;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), "berth-lock-"));
  layout = layoutOf(data);
  mkdirSync(layout.run, { recursive: true });
});
afterEach(() => rmSync(data, { recursive: true, force: true }));

describe("the lock of a data directory", () => {
  const path = () => join(layout.run, "up.lock");

  it("is held by one at a time, and leaves nothing behind", async () => {
    const release = await takeLock(layout);
    expect(readFileSync(path(), "utf8")).toBe(String(process.pid));
    let second: (() => void) | undefined;
    const taking = takeLock(layout).then((taken) => (second = taken));
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(second).toBeUndefined();
    release();
    (await taking)();
    expect(readdirSync(layout.run)).toEqual([]);
  });

  it("is taken over from a process that has ended", async () => {
    const { pid } = spawnSync("true");
    writeFileSync(path(), String(pid));
    const release = await takeLock(layout);
    expect(readFileSync(path(), "utf8")).toBe(String(process.pid));
    release();
    expect(existsSync(path())).toBe(false);
  });
});

describe("a remembered process", () => {
  it("is not mistaken for a later one of the same pid", () => {
    const known = rememberProcess(layout.run, "storage", process.pid);
    expect(findProcess(layout.run, "storage")).toEqual(known);
    writeFileSync(join(layout.run, "storage.pid"), JSON.stringify({ ...known, startedAt: "1" }));
    expect(findProcess(layout.run, "storage")).toBeUndefined();
    rememberProcess(layout.run, "auth", spawnSync("true").pid);
    expect(findProcess(layout.run, "auth")).toBeUndefined();
  });
});
