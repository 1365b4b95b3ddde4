import { lstatSync } from "node:fs";
import { runRefusal } from "@berth/core";
import type { Run } from "@berth/core";
import type { DriverEvent } from "@berth/plugins";
import type { RunRecord } from "./keeper/protocol.ts";

/** The run that a key names. */
export function runOfKey(key: string): Run {
  const [epoch = "", taskId = "", attempt = ""] = key.split("/");
  return { epoch, taskId, attempt: Number(attempt) };
}

/** The event for what a keeper knows of a run; undefined before the start. */
export function eventOf(
  record: RunRecord,
  seen: { readonly outOfMemory: boolean; readonly peakBytes: number | undefined },
): DriverEvent | undefined {
  const run = runOfKey(record.k);
  const startedAt = record.at === undefined ? undefined : new Date(record.at);
  if (record.f) {
    const { at, code, message, host } = record.f;
    if (host) return { kind: "unable", run, at: new Date(at), reason: runRefusal(code, message) };
    return { kind: "failed", run, at: new Date(at), reason: { code, message } };
  }
  if (record.x) {
    const { at, code, signal, cpuMs, peakBytes, oom = 0, out, err } = record.x;
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

export const foundEvent = (record: RunRecord): DriverEvent => ({
  kind: "found",
  run: runOfKey(record.k),
  startedAt: record.at === undefined ? undefined : new Date(record.at),
  suspended: (record.stopped ?? false) || (record.frozen ?? false),
});

export const lostEvent = (record: RunRecord): DriverEvent => ({
  kind: "lost",
  run: runOfKey(record.k),
  at: new Date(),
  startedAt: record.at === undefined ? undefined : new Date(record.at),
  reason: { code: "KEEPER_LOST", message: "its keeper was killed, and nobody saw how it ended" },
  stdoutBytes: sizeOf(record.o),
  stderrBytes: sizeOf(record.r),
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
