import type { DriverEvent } from "@berth/plugins";
import type { RunEvent } from "../domain/transitions.ts";

/** A driver's event in the domain's words. */
export function runEventOf(event: DriverEvent): RunEvent {
  if (event.kind !== "ended") return event;
  const { startedAt, at, exitCode, signal, outOfMemory, usage, stdoutBytes, stderrBytes, lostOutput } = event;
  return {
    kind: "ended",
    exit: { startedAt, endedAt: at, exitCode, signal, outOfMemory, ...usage, stdoutBytes, stderrBytes, lostOutput },
  };
}
