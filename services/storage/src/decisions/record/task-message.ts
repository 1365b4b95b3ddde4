import { killedReason, legacyStatus } from "@berth/core";
import { TaskSpec } from "@berth/contracts/types";
import type { Task, Usage } from "@berth/contracts/types";
import { unrecorded } from "../../domain/array-record.ts";
import type { ArrayRecord } from "../../domain/array-record.ts";
import {
  outcomeCode,
  outcomeOf,
  overCode,
  pendingCode,
  requestOf,
  stateOf,
  wireOutcome,
  wireRequest,
  wireState,
} from "./codes.ts";
import { freshTask } from "./columns.ts";
import type { SpecColumns, TaskColumns } from "./columns.ts";
import { recordUnreadable, toReason } from "./damage.ts";
import { arraySpecOf, decodeHead, encodeHead, progressOf, splitList } from "./feed-row.ts";

const emptySpec: TaskSpec = TaskSpec.decode(new Uint8Array());

/** A task as the API tells of it, as short as lists have it. */
export function taskMessage(row: TaskColumns, spec: SpecColumns, array: ArrayRecord | undefined): Task {
  const head = decodeHead(spec.head);
  const stateKind = stateOf(row.state);
  return {
    id: row.idx < 0 ? `${row.number}` : `${row.number}.${row.idx}`,
    spec: {
      ...emptySpec,
      name: spec.name,
      project: spec.project,
      resources: head.resources,
      priority: head.priority,
      timeLimitMs: head.timeLimitMs,
      array: row.idx < 0 && array ? arraySpecOf(array) : undefined,
    },
    identity: { user: spec.user, uid: spec.uid, gid: spec.gid, groups: [] },
    state: wireState(row.state),
    detail: row.detail,
    outcome: wireOutcome(row.outcome),
    reason: row.reason_code === "" ? undefined : { code: row.reason_code, message: row.reason_message },
    request: wireRequest(row.request),
    attempt: row.attempt,
    hostId: row.host,
    exitCode: row.exit_code ?? undefined,
    signal: row.signal ?? undefined,
    createTime: new Date(spec.created_at),
    placeTime: dateOf(row.placed_at),
    startTime: dateOf(row.started_at),
    endTime: dateOf(row.ended_at),
    usage: usageOf(row),
    progress: row.idx < 0 && array ? progressOf(array) : undefined,
    enforced: splitList(row.enforced),
    revision: row.revision,
    attempts: [],
    legacy: legacyStatus(stateKind, requestOf(row.request), outcomeOf(row.outcome)),
    logSizes:
      row.stdout_bytes === null
        ? undefined
        : {
            stdoutBytes: row.stdout_bytes,
            stderrBytes: row.stderr_bytes ?? 0,
            stdoutLostBytes: row.stdout_lost_bytes ?? undefined,
            stderrLostBytes: row.stderr_lost_bytes ?? undefined,
          },
    mounts: [],
  };
}

export type UsageColumns = Pick<TaskColumns, "cpu_ms" | "peak_memory_bytes" | "wall_ms" | "oom_kills">;

export const usageOf = (row: UsageColumns): Usage | undefined =>
  row.wall_ms === null
    ? undefined
    : {
        cpuMs: row.cpu_ms ?? 0,
        peakMemoryBytes: row.peak_memory_bytes ?? undefined,
        wallMs: row.wall_ms,
        oomKills: row.oom_kills ?? undefined,
      };

const dateOf = (ms: number | null): Date | undefined => (ms === null ? undefined : new Date(ms));

/** An element without a record of its own, as one would be; undefined where the array has no such element. */
export function unrecordedRow(array: ArrayRecord, whole: TaskColumns, idx: number): TaskColumns | undefined {
  const place = unrecorded(array, idx);
  if (place === undefined) return undefined;
  const { number, user, revision } = whole;
  if (place === "unclaimed") return { ...freshTask(number, idx, user, pendingCode), revision };
  const ended =
    whole.outcome === outcomeCode("rejected") || whole.outcome === outcomeCode("dependency_failed") ? whole : undefined;
  return {
    ...freshTask(number, idx, user, Math.max(overCode, whole.state)),
    revision,
    outcome: ended?.outcome ?? outcomeCode("killed"),
    reason_code: ended?.reason_code ?? killedReason("").code,
    reason_message: ended?.reason_message ?? "killed with its array",
    ended_at: whole.ended_at,
  };
}

/** A task, an array or an element as it is shown. */
export interface Found {
  readonly row: TaskColumns;
  readonly spec: SpecColumns;
  /** Of an array itself; missing where its record is damaged. */
  readonly array: ArrayRecord | undefined;
}

/** A task as the API tells of it, as short as lists have it; without what is damaged of it. */
export function shortMessage({ row, spec, array }: Found): Task {
  try {
    return taskMessage(row, spec, array);
  } catch (error) {
    const { code, message } = toReason(recordUnreadable(row.number, row.idx, "head", error));
    const shown = row.state < overCode ? { ...row, reason_code: code, reason_message: message } : row;
    return taskMessage(shown, { ...spec, head: encodeHead({}) }, array);
  }
}
