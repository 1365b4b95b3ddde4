import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { platform, uptime } from "node:os";
import type { Clock } from "../ports/clock.ts";

/** How long the distance between the two clocks below may be used. */
const trustMs = 1_000;

/**
 * The machine's clocks. Its uptime counts on while it sleeps, unlike the clock of timers, and costs a file's reading: between two readings the latter is
 * used, unless the wall clock shows that the machine slept, or was set.
 */
export function hostClock(): Clock {
  let readAtMs = -Infinity;
  let wallAtMs = 0;
  let upAtMs = 0;
  return {
    bootId: readBootId(),
    now() {
      const at = new Date();
      const since = performance.now() - readAtMs;
      if (since < trustMs && Math.abs(at.getTime() - wallAtMs - since) < trustMs)
        return { at, elapsedMs: upAtMs + since };
      readAtMs = performance.now();
      wallAtMs = at.getTime();
      upAtMs = Math.max(upAtMs, uptime() * 1000);
      return { at, elapsedMs: upAtMs };
    },
  };
}

function readBootId(): string {
  if (platform() !== "darwin") return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return execFileSync("/usr/sbin/sysctl", ["-n", "kern.bootsessionuuid"], { encoding: "utf8" }).trim();
}
