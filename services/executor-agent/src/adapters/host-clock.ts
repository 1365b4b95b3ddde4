import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { platform, uptime } from "node:os";
import type { Clock } from "../ports/clock.ts";

/** How long the measured offset between the timer clock and uptime is used without a new measurement. */
const trustMs = 1_000;
/** Uptime has a resolution of 10 ms, so a smaller change of the offset is noise. No machine sleeps for less. */
const coarseMs = 50;

export interface ClockSources {
  /** The wall clock, in milliseconds. */
  wallMs(): number;
  /** The clock of timers: high resolution, stops while the machine sleeps. */
  timerMs(): number;
  /** Time since boot, sleep included: low resolution, and each call reads a file. */
  uptimeMs(): number;
}

const machine: ClockSources = {
  wallMs: Date.now,
  timerMs: () => performance.now(),
  uptimeMs: () => uptime() * 1000,
};

/**
 * The machine's clocks. The elapsed clock is the timer clock plus all sleep, so it never goes back and has its resolution. Sleep is measured at most once per
 * `trustMs`, and at once if the wall clock jumped.
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
