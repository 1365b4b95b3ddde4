import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { findByEnvironment } from "./process-table.ts";

it.runIf(process.platform === "linux")(
  "a process is found by a setting of its environment only as its user's",
  async () => {
    const uid = process.getuid!();
    const setting = `BERTH_RUN=berth-test-${process.pid}`;
    const child = spawn("sleep", ["60"], {
      env: { BERTH_RUN: setting.slice("BERTH_RUN=".length), PATH: process.env["PATH"] },
    });
    await once(child, "spawn");
    try {
      await expect.poll(() => findByEnvironment(setting, uid)).toBe(child.pid);
      expect(findByEnvironment(setting, uid + 1)).toBeUndefined();
      expect(findByEnvironment(`${setting}0`, uid)).toBeUndefined();
    } finally {
      child.kill("SIGKILL");
    }
  },
);
