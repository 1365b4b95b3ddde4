import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { singleInstanceLock } from "./instance-lock.ts";

describe("singleInstanceLock", () => {
  let dir: string;
  beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), "berth-lock-"))));
  afterEach(() => rmSync(dir, { recursive: true }));

  it("lets one in at a time", () => {
    const lock = singleInstanceLock(dir);
    expect(() => singleInstanceLock(dir)).toThrow(
      expect.objectContaining({
        code: "precondition",
        reason: "STORAGE_LOCKED",
        metadata: { path: join(dir, "lock.db"), pid: `${process.pid}` },
      }),
    );
    lock.release();
    lock.release();
    singleInstanceLock(dir).release();
  });

  it("names the process that holds it, and is free once that is killed", async () => {
    const module = new URL("./instance-lock.ts", import.meta.url).href;
    const code = `const { singleInstanceLock } = await import(${JSON.stringify(module)});
      singleInstanceLock(${JSON.stringify(dir)}); gc(); console.log("held"); setInterval(() => {}, 1e6);`;
    const holder = spawn(process.execPath, ["--expose-gc", "--input-type=module", "-e", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const gone = once(holder, "exit");
    try {
      await once(holder.stdout, "data");
      expect(() => singleInstanceLock(dir)).toThrow(`pid ${holder.pid}`);
    } finally {
      holder.kill("SIGKILL");
      await gone;
    }
    singleInstanceLock(dir).release();
  });
});
