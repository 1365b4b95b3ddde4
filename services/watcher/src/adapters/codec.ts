import { isToken, requestFromWire, stateFromWire } from "@berth/contracts";
import { RunPhase, Verdict as WireVerdict } from "@berth/contracts/agent";
import type { ReportRequest, RunStatus, RunVerdict, SyncRequest } from "@berth/contracts/agent";
import { RunKnowledge } from "@berth/contracts/store";
import type { Change } from "@berth/contracts/store";
import { HostStatus, Outcome } from "@berth/contracts/types";
import { AppError, invalidField, isSoundRun, parseTaskId } from "@berth/core";
import type { Resources, Run } from "@berth/core";
import type { HostReport, HostSync } from "../app/watcher.ts";
import type { FeedRow } from "../domain/run-view.ts";
import type { JudgedRun, Knowledge } from "../domain/verdicts.ts";

/** A feed row as a domain value; undefined for a kind that only a newer storage knows. */
export function rowFromWire({ revision, row }: Change): FeedRow | undefined {
  if (row?.$case === "host")
    return {
      kind: "host",
      host: {
        id: row.value.id,
        revision,
        up: row.value.status === HostStatus.UP,
        agentId: row.value.agentId ?? "",
      },
    };
  const state = row?.$case === "task" ? stateFromWire(row.value.state) : undefined;
  if (!row || row.$case !== "task" || !state) return undefined;
  const { id, attempt, hostId, journalId, requestBy, array } = row.value;
  parseTaskId(id, "id");
  const request = requestFromWire(row.value.request);
  return {
    kind: "task",
    task: { id, revision, state, attempt, hostId, journalId, request, requestBy, isArray: array !== undefined },
  };
}

const runsOf = (statuses: readonly RunStatus[]): Run[] => statuses.flatMap(({ run }) => run ?? []);

const longestText = 256;
const isText = (text: string): boolean => text.length <= longestText && !/[\p{Cc}\p{Cf}\p{Cs}]/u.test(text);
const isAmount = ({ cpuMilli, memoryBytes }: Resources): boolean => cpuMilli >= 0 && memoryBytes >= 0;

/** Throws `invalid` if no agent can have sent the message, before any of it is stored or shown. */
export function checkSync({ host, statuses, withoutSpec }: SyncRequest): void {
  if (!host) throw new AppError("invalid", "SYNC_WITHOUT_HOST", "a sync must say what its host is");
  if (!isToken(host.id)) throw invalidField("host.id", "must be 1 to 64 of [A-Za-z0-9_-]");
  const texts = [host.driver, host.journalId, host.bootId, host.version, host.agentId ?? "", ...host.features];
  if (!texts.every(isText))
    throw invalidField("host", `texts must be printable, and of ${longestText} letters at the most`);
  if (![host.capacity, host.used].every((amounts) => !amounts || isAmount(amounts)))
    throw invalidField("host", "amounts must not be negative");
  checkRuns([...runsOf(statuses), ...withoutSpec, ...host.unknownRuns]);
}

/** The same of a report. */
export const checkReport = ({ statuses }: ReportRequest): void => checkRuns(runsOf(statuses));

function checkRuns(runs: readonly Run[]): void {
  const bad = runs.find((run) => !isSoundRun(run));
  if (bad)
    throw invalidField("run", `is none: task ${JSON.stringify(bad.taskId.slice(0, 40))}, attempt ${bad.attempt}`);
}

/** Undefined if the message does not describe its host. */
export function syncFromWire({ host, statuses, withoutSpec }: SyncRequest): HostSync | undefined {
  const over = statuses.filter(({ phase }) => phase === RunPhase.ENDED || phase === RunPhase.REFUSED);
  return (
    host && {
      host,
      hostId: host.id,
      journalId: host.journalId,
      agentId: host.agentId ?? "",
      runs: runsOf(statuses),
      over: runsOf(over),
      withoutSpec,
    }
  );
}

export const reportFromWire = (report: ReportRequest): HostReport => ({
  hostId: report.hostId,
  agentId: report.agentId ?? "",
  runs: runsOf(report.statuses),
  report,
});

const stopReasons = { killed: "KILLED", superseded: "SUPERSEDED", over: "OVER" } as const;
const verdicts = {
  run: WireVerdict.RUN,
  stop: WireVerdict.STOP,
  suspend: WireVerdict.SUSPEND,
  resume: WireVerdict.RESUME,
  unknown: WireVerdict.UNKNOWN,
} as const;

export const verdictToWire = ({ run, verdict }: JudgedRun): RunVerdict => ({
  run: { ...run },
  verdict: verdicts[verdict.kind],
  reason: verdict.kind === "stop" ? stopReasons[verdict.cause] : "",
  by: verdict.kind === "stop" ? verdict.by : "",
});

const knowledge: Readonly<Record<string, Knowledge>> = {
  [RunKnowledge.SUPERSEDED]: "superseded",
  [RunKnowledge.OVER]: "over",
  [RunKnowledge.UNKNOWN]: "unknown",
};

/** An answer that only a newer storage knows ends no run. */
export const knowledgeFromWire = (known: RunKnowledge): Knowledge => knowledge[known] ?? "current";

/** A report that ends runs as lost. */
export const lostReport = (hostId: string, journalId: string, runs: readonly Run[], at: Date): ReportRequest => ({
  hostId,
  journalId,
  statuses: runs.map((run) => ({
    run: { ...run },
    phase: RunPhase.ENDED,
    detail: "",
    startTime: undefined,
    endTime: at,
    outcome: Outcome.LOST,
    reason: { code: "JOURNAL_LOST", message: "its host's agent lost its journal and found nothing of it" },
    exitCode: undefined,
    signal: undefined,
    usage: undefined,
    logSizes: undefined,
    enforced: [],
    traceParent: "",
  })),
});
