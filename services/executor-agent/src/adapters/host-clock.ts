import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { platform, uptime } from "node:os";
import type { Clock } from "../ports/clock.ts";

/** How long the distance between the two clocks below may be used without looking again. */
const trustMs = 1_000;
/** Uptime is told in hundredths of a second: a distance that grew by no more than this is the same one. No machine sleeps for less. */
const coarseMs = 50;

export interface ClockSources {
  /** The wall clock, in milliseconds. */
  wallMs(): number;
  /** The clock of timers: fine, and still while the machine sleeps. */
  timerMs(): number;
  /** Since boot, sleep included: coarse, and costs a file's reading. */
  uptimeMs(): number;
}

const machine: ClockSources = {
  wallMs: Date.now,
  timerMs: () => performance.now(),
  uptimeMs: () => uptime() * 1000,
};

/**
 * The machine's clocks. The elapsed one is the timers' plus all sleep: it never goes back, and its steps are as fine as theirs. Sleep is looked for once a second,
 * or when the wall clock shows that the machine slept, or was set.
 */
export function hostClock({ wallMs, timerMs, uptimeMs }: ClockSources = machine): Clock {
  let lookedAtMs = timerMs();
  let wallThenMs = wallMs();
  let distanceMs = uptimeMs() - lookedAtMs;
  return {
    bootId: readBootId(),
    now() {
      const at = wallMs();
      const timer = timerMs();
      const since = timer - lookedAtMs;
      if (since >= trustMs || Math.abs(at - wallThenMs - since) >= trustMs) {
        lookedAtMs = timer;
        wallThenMs = at;
        const seenMs = uptimeMs() - timer;
        if (seenMs - distanceMs > coarseMs) distanceMs = seenMs;
      }
      return { at: new Date(at), elapsedMs: timer + distanceMs };
    },
  };
}

function readBootId(): string {
  if (platform() !== "darwin") return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return execFileSync("/usr/sbin/sysctl", ["-n", "kern.bootsessionuuid"], { encoding: "utf8" }).trim();
}
