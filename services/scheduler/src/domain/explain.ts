import { splitTaskId } from "@berth/core";
import { noHostLargeEnough, tooLarge } from "./cycle.ts";
import { withoutAvoiding, eligible } from "./filters.ts";
import type { Filter } from "./filters.ts";
import type { Queue } from "./queue.ts";
import type { TaskRecord } from "./records.ts";

/** Why a task is not running yet. */
export interface Explanation {
  readonly code: ExplanationCode;
  readonly message: string;
  /** Place among the pending tasks, from 1. */
  readonly position: number;
  readonly pending: number;
  /** Refusals by hosts, most frequent first. */
  readonly refusals: readonly string[];
  readonly waitsFor: readonly string[];
}

export type ExplanationCode =
  | "WAITING_FOR_CAPACITY"
  | "WAITING_FOR_DEPENDENCY"
  | "DEPENDENCY_FAILED"
  | "ARRAY_LIMIT"
  | "OWNER_DISABLED"
  | "NO_HOST_LARGE_ENOUGH"
  | "NO_HOSTS"
  | "NOT_LOOKED_AT_YET"
  | "BEING_PLACED";

/** Explains a pending task by the planner's own filters; undefined if no pending task has that id. */
export function explain(queue: Queue, id: string, filters: readonly Filter[]): Explanation | undefined {
  const record = pendingRecord(queue, id);
  if (!record) return undefined;
  const said = (
    code: ExplanationCode,
    message: string,
    more: { refusals?: readonly string[]; waitsFor?: readonly string[] } = {},
  ): Explanation => ({
    code,
    message,
    position: positionOf(queue, record),
    pending: queue.pending,
    refusals: more.refusals ?? [],
    waitsFor: more.waitsFor ?? [],
  });
  if (record.impossible) return said("DEPENDENCY_FAILED", record.impossible.message);
  switch (record.phase) {
    case "blocked": {
      const waitsFor = [...(record.unmet?.keys() ?? [])];
      return said(
        "WAITING_FOR_DEPENDENCY",
        `waits for ${waitsFor.length === 1 ? `task ${waitsFor[0]}` : `${waitsFor.length} tasks`}`,
        { waitsFor },
      );
    }
    case "resting":
      if (ownerDisabled(queue, record)) return sayOwnerDisabled(record, said);
      return said(
        "ARRAY_LIMIT",
        `${record.array!.live} of its elements are under way, and not more than ${record.array!.maxLive} may be at once`,
      );
    case "held":
    case "ending":
    case "claimed":
      return said("BEING_PLACED", "a decision about it is being stored");
    case "queued":
      return explainQueued(queue, record, filters, said);
    default:
      return said("NOT_LOOKED_AT_YET", "the scheduler has not come to it yet");
  }
}

type MakeExplanation = (code: ExplanationCode, message: string, more?: { refusals?: readonly string[] }) => Explanation;

function explainQueued(
  queue: Queue,
  record: TaskRecord,
  filters: readonly Filter[],
  said: MakeExplanation,
): Explanation {
  const { shape } = record;
  if (ownerDisabled(queue, record)) return sayOwnerDisabled(record, said);
  if (queue.hosts.count === 0) return said("NO_HOSTS", "no host has joined the cluster yet");
  if (tooLarge(queue, shape.needClass)) return said("NO_HOST_LARGE_ENOUGH", noHostLargeEnough.message);
  if (record.parent?.array?.atLimit())
    return said(
      "ARRAY_LIMIT",
      `not more than ${record.parent.array.maxLive} elements of its array may be under way at once`,
    );
  const { passing, refusals } = eligible(withoutAvoiding(shape, queue.hosts), queue.hosts.known(), filters);
  if (passing.length > 0)
    return said("NOT_LOOKED_AT_YET", "a host could take it; the scheduler has not come to it yet");
  return said("WAITING_FOR_CAPACITY", `no host can take it now: ${refusals.join(", ")}`, { refusals });
}

const ownerDisabled = (queue: Queue, { shape }: TaskRecord): boolean => queue.disabledUsers.has(shape.user);

const sayOwnerDisabled = ({ shape }: TaskRecord, said: MakeExplanation): Explanation =>
  said("OWNER_DISABLED", `user ${shape.user} is disabled; it starts once an admin enables them again`);

/** The pending record of that id; for an unclaimed element, its array. */
function pendingRecord(queue: Queue, id: string): TaskRecord | undefined {
  const record = queue.get(id);
  if (record) return record.pending > 0 || isBeingDecided(record) ? record : undefined;
  const { number, index } = splitTaskId(id);
  if (index === undefined) return undefined;
  const array = queue.get(`${number}`);
  return array?.array && array.pending > 0 && array.array.awaits(index) ? array : undefined;
}

/** Whether a decision about it is being committed. For an array: about its last elements. */
const isBeingDecided = ({ phase, array }: TaskRecord): boolean =>
  phase === "held" || phase === "ending" || (phase === "claimed" && array !== undefined && array.first <= array.last);

function positionOf(queue: Queue, record: TaskRecord): number {
  let before = 0;
  for (const shape of queue.shapes.all()) if (shape.queued > 0) before += shape.countBefore(record);
  return before + 1;
}
