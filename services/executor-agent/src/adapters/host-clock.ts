import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { platform, uptime } from "node:os";
import type { Clock } from "../ports/clock.ts";

/** The machine's clocks. Its uptime counts on while it sleeps, unlike the clock of timers. */
export function hostClock(): Clock {
  return { bootId: readBootId(), now: () => ({ at: new Date(), elapsedMs: uptime() * 1000 }) };
}

function readBootId(): string {
  if (platform() !== "darwin") return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return execFileSync("/usr/sbin/sysctl", ["-n", "kern.bootsessionuuid"], { encoding: "utf8" }).trim();
}
