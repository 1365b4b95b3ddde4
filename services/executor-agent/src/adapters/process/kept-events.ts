import { lstatSync } from "node:fs";
import { runRefusal } from "@berth/core";
import type { Run } from "@berth/core";
import type { DriverEvent } from "@berth/plugins";
import type { KeptRun } from "./keeper/protocol.ts";

/** The run that a key names. */
export function runOfKey(key: string): Run {
  const [epoch = "", taskId = "", attempt = ""] = key.split("/");
  return { epoch, taskId, attempt: Number(attempt) };
}

/** The event for what a keeper knows of a run; undefined before the start. */
export function eventOf(
  kept: KeptRun,
  seen: { readonly outOfMemory: boolean; readonly peakBytes: number | undefined },
): DriverEvent | undefined {
  const run = runOfKey(kept.k);
  const startedAt = kept.at === undefined ? undefined : new Date(kept.at);
  if (kept.f) {
    const { at, code, message, host } = kept.f;
    if (host) return { kind: "unable", run, at: new Date(at), reason: runRefusal(code, message) };
    return { kind: "failed", run, at: new Date(at), reason: { code, message } };
  }
  if (kept.x) {
    const { at, code, signal, cpuMs, peakBytes, oom = 0, out, err } = kept.x;
    return {
      kind: "ended",
      run,
      startedAt,
      at: new Date(at),
      exitCode: code,
      signal,
      // Killed by the kernel, or by the agent's memory watch. A run that exits with 0 although the kernel killed one of its processes has succeeded.
      outOfMemory: (oom > 0 && code !== 0) || (seen.outOfMemory && signal === 9),
      usage: { cpuMs, peakMemoryBytes: maxOf(peakBytes, seen.peakBytes), ...(oom > 0 ? { oomKills: oom } : {}) },
      stdoutBytes: out,
      stderrBytes: err,
    };
  }
  return startedAt && { kind: "started", run, at: startedAt };
}

export const foundEvent = (kept: KeptRun): DriverEvent => ({
  kind: "found",
  run: runOfKey(kept.k),
  startedAt: kept.at === undefined ? undefined : new Date(kept.at),
  suspended: (kept.stopped ?? false) || (kept.frozen ?? false),
});

export const lostEvent = (kept: KeptRun): DriverEvent => ({
  kind: "lost",
  run: runOfKey(kept.k),
  at: new Date(),
  startedAt: kept.at === undefined ? undefined : new Date(kept.at),
  reason: { code: "KEEPER_LOST", message: "its keeper was killed, and nobody saw how it ended" },
  stdoutBytes: sizeOf(kept.o),
  stderrBytes: sizeOf(kept.r),
});

/** Size of an output file; 0 where the task's user put something else in its place. */
function sizeOf(path: string): number {
  try {
    const stat = lstatSync(path);
    return stat.isFile() ? stat.size : 0;
  } catch {
    return 0;
  }
}

function maxOf(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.max(a, b);
}
