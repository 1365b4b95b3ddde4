import { killedReason } from "@berth/core";
import type { Outcome, Reason } from "@berth/core";
import type { End, Needs, Stop } from "./held-run.ts";

/** How a process ended, as the driver saw it. */
export interface Exit {
  readonly startedAt: Date | undefined;
  readonly endedAt: Date;
  readonly exitCode: number | undefined;
  readonly signal: number | undefined;
  readonly outOfMemory: boolean;
  readonly cpuMs: number | undefined;
  readonly peakMemoryBytes: number | undefined;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  readonly lostOutput?: End["lostOutput"];
  readonly oomKills?: number | undefined;
}

/** What an exit means, given the stop that the agent had decided, if any. */
export function endOfExit(exit: Exit, stop: Stop | undefined, needs: Needs): End {
  const { outcome, reason } = judge(exit, stop, needs);
  const { startedAt, endedAt, exitCode, signal, cpuMs, peakMemoryBytes, stdoutBytes, stderrBytes } = exit;
  const { lostOutput, oomKills } = exit;
  return {
    outcome,
    reason,
    startedAt,
    endedAt,
    exitCode,
    signal,
    cpuMs: cpuMs ?? 0,
    peakMemoryBytes,
    stdoutBytes,
    stderrBytes,
    ...(lostOutput && { lostOutput }),
    ...(oomKills && { oomKills }),
  };
}

function judge(
  { exitCode, signal, outOfMemory }: Exit,
  stop: Stop | undefined,
  needs: Needs,
): { outcome: Outcome; reason: Reason } {
  const ours = stop && stop.stage !== "wanted" ? judgeStop(stop, needs) : undefined;
  if (ours) return ours;
  if (outOfMemory)
    return {
      outcome: "out_of_memory",
      reason: { code: "OUT_OF_MEMORY", message: "it needed more memory than it asked for" },
    };
  if (signal !== undefined)
    return { outcome: "failed", reason: { code: "SIGNAL", message: `ended by signal ${signalName(signal)}` } };
  if (exitCode === 0) return { outcome: "succeeded", reason: { code: "EXIT_CODE", message: "exit code 0" } };
  return { outcome: "failed", reason: { code: "EXIT_CODE", message: `exit code ${exitCode ?? "unknown"}` } };
}

/** The server decides the outcome of a run that was superseded or over already; the report only carries its usage. */
function judgeStop(stop: Stop, needs: Needs): { outcome: Outcome; reason: Reason } | undefined {
  switch (stop.cause) {
    case "killed":
      return { outcome: "killed", reason: killedReason(stop.by) };
    case "timed_out":
      return {
        outcome: "timed_out",
        reason: { code: "TIME_LIMIT", message: `reached its time limit of ${needs.timeLimitMs / 1000} s` },
      };
    case "superseded":
    case "over":
      return undefined;
  }
}

/** An end without an exit: the run could not be started, or its end was not seen. If the agent had stopped it, the stop is the reason. */
export function endWithoutExit(
  outcome: "failed" | "lost",
  reason: Reason,
  rest: Pick<End, "startedAt" | "endedAt" | "stdoutBytes" | "stderrBytes" | "lostOutput">,
  stop: Stop | undefined,
  needs: Needs,
): End {
  const ours = stop && stop.stage !== "wanted" ? judgeStop(stop, needs) : undefined;
  return {
    outcome: ours?.outcome ?? outcome,
    reason: ours?.reason ?? reason,
    ...rest,
    exitCode: undefined,
    signal: undefined,
    cpuMs: 0,
    peakMemoryBytes: undefined,
  };
}

const names: Readonly<Record<number, string>> = {
  1: "HUP",
  2: "INT",
  3: "QUIT",
  4: "ILL",
  6: "ABRT",
  8: "FPE",
  9: "KILL",
  11: "SEGV",
  13: "PIPE",
  14: "ALRM",
  15: "TERM",
};

const signalName = (signal: number): string => (names[signal] ? `${names[signal]} (${signal})` : String(signal));
