import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const door = new URL("./index.ts", import.meta.url).href;

describe("runService", () => {
  let dir: string;
  let ready: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "berth-service-"));
    ready = join(dir, "ready.json");
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  /** Runs a service of its own process; `onReady` is called when it says so. */
  async function run(
    start: string,
    onReady?: (stop: (signal: NodeJS.Signals) => void) => void,
    options = "",
  ): Promise<{ code: number | null; log: string }> {
    const code = `const { AppError, runService } = { ...await import(${JSON.stringify(door)}), ...await import("@berth/core") };
      await runService({ name: "test", ${options} start: async ({ closing, signal }) => { ${start} } });`;
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", code], {
      cwd: import.meta.dirname,
      env: { ...process.env, BERTH_READY_FILE: ready },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    let told = false;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      if (told || !log.includes('"message":"ready"')) return;
      told = true;
      onReady?.((signal) => child.kill(signal));
    });
    const [exitCode] = (await once(child, "close")) as [number | null];
    return { code: exitCode, log };
  }

  it("says where it listens, and closes what it opened when it is asked to stop", async () => {
    const start = `closing.add(() => console.error("closed")); return { addresses: { grpc: "127.0.0.1:1" } };`;
    let said = {};
    let mode = 0;
    const { code, log } = await run(start, (stop) => {
      said = JSON.parse(readFileSync(ready, "utf8"));
      mode = statSync(ready).mode & 0o777;
      stop("SIGTERM");
    });
    expect(said).toEqual({ pid: expect.any(Number), addresses: { grpc: "127.0.0.1:1" } });
    expect(mode).toBe(0o600);
    expect(log).toContain("closed");
    expect(code).toBe(0);
    expect(existsSync(ready)).toBe(false);
  });

  it("closes what was opened when the start fails, and tells bad configuration from bad luck", async () => {
    const bad = await run(
      `closing.add(() => console.error("closed")); throw new AppError("invalid", "CONFIG_INVALID", "BERTH_X: is missing");`,
    );
    expect(bad.log).toContain("BERTH_X: is missing");
    expect(bad.log).toContain("closed");
    expect(bad.code).toBe(2);
    const unlucky = await run(`throw new AppError("precondition", "STORAGE_LOCKED", "held by pid 7");`);
    expect(unlucky.log).toContain("held by pid 7");
    expect(unlucky.code).toBe(1);
  });

  it("ends by itself when nobody handles an error, or its work ends", async () => {
    const unhandled = await run(`setTimeout(() => void Promise.reject(new Error("forgotten"))); return {};`);
    expect(unhandled.log).toContain("forgotten");
    expect(unhandled.code).toBe(1);
    expect((await run(`return { running: Promise.resolve() };`)).code).toBe(1);
    expect((await run(`return { running: Promise.reject(new Error("loop broke")) };`)).log).toContain("loop broke");
  });

  it("does not wait for ever for a close", async () => {
    const start = `closing.add(() => new Promise(() => setInterval(() => {}, 1000))); return {};`;
    const { code, log } = await run(start, (stop) => stop("SIGTERM"), "closeMs: 50,");
    expect(log).toContain("closing took too long");
    expect(code).toBe(1);
  });
});
