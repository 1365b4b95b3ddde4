import { counter, histogram, isTracing, openSpan } from "@berth/runtime";
import type { AgentDeps } from "../app/agent-deps.ts";

/** Counts ends, and makes the span of each run under its submit's trace. */
export function observeEnds(hostId: string): AgentDeps["onEnd"] {
  const ended = counter("berth_agent_runs_ended_total", "Runs that ended on this host, by outcome", ["outcome"]);
  const wall = histogram("berth_agent_run_seconds", "Time from a run's start to its end");
  return ({ run }, end, spec) => {
    ended.inc({ outcome: end.outcome });
    if (end.wallMs !== undefined) wall.observe(end.wallMs / 1000);
    if (!isTracing() || !spec?.traceParent) return;
    const { span } = openSpan("agent run", {
      parent: spec.traceParent,
      startTime: end.startedAt ?? end.endedAt,
      attributes: {
        "berth.task": run.taskId,
        "berth.attempt": run.attempt,
        "berth.host": hostId,
        "berth.outcome": end.outcome,
      },
    });
    span.end(end.endedAt);
  };
}

/** Counts refused runs per reason code. STALE_TERM means that an old leader still sends assignments. */
export function observeRefusals(): (code: string) => void {
  const refused = counter("berth_agent_runs_refused_total", "Runs that this host did not take over, by reason", [
    "reason",
  ]);
  return (reason) => refused.inc({ reason });
}
