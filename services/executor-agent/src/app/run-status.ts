import { outcomeToWire } from "@berth/contracts";
import { RunPhase } from "@berth/contracts/agent";
import type { RunStatus } from "@berth/contracts/agent";
import type { End, HeldRun } from "../domain/held-run.ts";

/** The message that reports a run. */
export function statusOf(held: HeldRun, enforced: readonly string[], traceParent = ""): RunStatus {
  const { phase } = held;
  const status = blank(held, enforced);
  if (phase.kind === "ended") status.traceParent = traceParent;
  switch (phase.kind) {
    case "accepted":
    case "queued":
      return status;
    case "starting":
      return phase.detail ? { ...status, phase: RunPhase.PREPARING, detail: phase.detail } : status;
    case "running":
      return { ...status, phase: RunPhase.RUNNING, startTime: phase.startedAt };
    // A frozen run is reported as running: no user suspended it, and the next answer thaws it.
    case "suspended":
      return {
        ...status,
        phase: held.wish === "suspend" ? RunPhase.SUSPENDED : RunPhase.RUNNING,
        startTime: phase.startedAt,
      };
    case "refused":
      return { ...status, phase: RunPhase.REFUSED, endTime: phase.refusedAt, reason: phase.reason };
    case "ended":
      return endedStatus(status, phase.end);
  }
}

const blank = ({ run }: HeldRun, enforced: readonly string[]): RunStatus => ({
  run: { epoch: run.epoch, taskId: run.taskId, attempt: run.attempt },
  phase: RunPhase.ACCEPTED,
  detail: "",
  startTime: undefined,
  endTime: undefined,
  outcome: outcomeToWire(undefined),
  reason: undefined,
  exitCode: undefined,
  signal: undefined,
  usage: undefined,
  logSizes: undefined,
  enforced: enforced as string[],
  traceParent: "",
});

function endedStatus(status: RunStatus, end: End): RunStatus {
  status.phase = RunPhase.ENDED;
  status.startTime = end.startedAt;
  status.endTime = end.endedAt;
  status.outcome = outcomeToWire(end.outcome);
  status.reason = end.reason;
  status.exitCode = end.exitCode;
  status.signal = end.signal;
  status.usage = {
    cpuMs: end.cpuMs,
    peakMemoryBytes: end.peakMemoryBytes,
    wallMs: end.wallMs ?? (end.startedAt ? Math.max(0, end.endedAt.getTime() - end.startedAt.getTime()) : 0),
    oomKills: end.oomKills || undefined,
  };
  const { stdoutBytes, stderrBytes, lostOutput } = end;
  if (stdoutBytes !== undefined && stderrBytes !== undefined)
    status.logSizes = {
      stdoutBytes,
      stderrBytes,
      stdoutLostBytes: lostOutput?.stdoutBytes || undefined,
      stderrLostBytes: lostOutput?.stderrBytes || undefined,
    };
  return status;
}
