import { noLease } from "./loss-columns.ts";
import type { LossColumns } from "./loss-columns.ts";

/** A record of a task, an array or an element, as both databases have it. */
export interface TaskColumns extends LossColumns {
  readonly number: number;
  readonly idx: number;
  readonly user: string;
  readonly state: number;
  readonly attempt: number;
  readonly revision: number;
  readonly request: number;
  readonly request_by: string;
  readonly host: string;
  readonly journal: string;
  readonly detail: string;
  readonly avoid: string;
  readonly outcome: number;
  readonly reason_code: string;
  readonly reason_message: string;
  readonly exit_code: number | null;
  readonly signal: number | null;
  readonly placed_at: number | null;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly cpu_ms: number | null;
  readonly peak_memory_bytes: number | null;
  readonly wall_ms: number | null;
  readonly stdout_bytes: number | null;
  readonly stderr_bytes: number | null;
  /** At least this many bytes of output are lost; null, or missing in older records, if none are. */
  readonly stdout_lost_bytes?: number | null;
  readonly stderr_lost_bytes?: number | null;
  readonly oom_kills?: number | null;
  readonly enforced: string;
}

/** The columns that the change feed shows beside a task's constant head. */
export type FeedColumns = Omit<
  TaskColumns,
  | "user"
  | "revision"
  | "placed_at"
  | "cpu_ms"
  | "peak_memory_bytes"
  | "wall_ms"
  | "stdout_bytes"
  | "stderr_bytes"
  | "stdout_lost_bytes"
  | "stderr_lost_bytes"
  | "oom_kills"
  | "enforced"
  | keyof LossColumns
>;

export const feedColumns =
  "number, idx, state, attempt, request, request_by, host, journal, detail, avoid, outcome, reason_code, reason_message, exit_code, signal, started_at, ended_at";

/** A row of `specs` without the spec itself. */
export interface SpecColumns {
  readonly number: number;
  readonly user: string;
  readonly project: string;
  readonly name: string;
  readonly is_array: number;
  readonly uid: number;
  readonly gid: number;
  readonly cpu_milli: number;
  readonly memory_bytes: number;
  readonly created_at: number;
  readonly head: Uint8Array;
  readonly deps: Uint8Array | null;
}

export const specColumns =
  "number, user, project, name, is_array, uid, gid, cpu_milli, memory_bytes, created_at, head, deps";

/** The feed's columns of a task that was never placed. */
export const freshRow = (number: number, idx: number, state: number): FeedColumns => ({
  number,
  idx,
  state,
  attempt: 0,
  request: 0,
  request_by: "",
  host: "",
  journal: "",
  detail: "",
  avoid: "",
  outcome: 0,
  reason_code: "",
  reason_message: "",
  exit_code: null,
  signal: null,
  started_at: null,
  ended_at: null,
});

/** A record of a task that was never placed. */
export const freshTask = (number: number, idx: number, user: string, state: number, loss = noLease) => ({
  ...freshRow(number, idx, state),
  user,
  revision: 0,
  placed_at: null,
  cpu_ms: null,
  peak_memory_bytes: null,
  wall_ms: null,
  stdout_bytes: null,
  stderr_bytes: null,
  stdout_lost_bytes: null,
  stderr_lost_bytes: null,
  oom_kills: null,
  enforced: "",
  lease_ms: loss.lease_ms,
  retry_on: loss.retry_on,
});
