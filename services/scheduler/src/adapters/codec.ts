import { outcomeFromWire, outcomeToWire, stateFromWire } from "@berth/contracts";
import type { Change, CommitPlanRequest, TaskRow } from "@berth/contracts/store";
import { Dependency_Kind, HostStatus } from "@berth/contracts/types";
import type { Host } from "@berth/contracts/types";
import type { ArrayFacts, FeedRow, HostFacts, TaskFacts } from "../domain/feed.ts";
import type { Plan } from "../domain/plan.ts";

const nothing = { cpuMilli: 0, memoryBytes: 0 } as const;

/** A feed row in our words; undefined for one that a newer storage may send and we do not know. */
export function rowFromWire({ revision, row }: Change): FeedRow | undefined {
  if (row?.$case === "host") return { kind: "host", host: hostFromWire(revision, row.value) };
  const task = row?.$case === "task" ? taskFromWire(revision, row.value) : undefined;
  return task && { kind: "task", task };
}

function taskFromWire(revision: number, row: TaskRow): TaskFacts | undefined {
  const state = stateFromWire(row.state);
  if (!state) return undefined;
  return {
    id: row.id,
    revision,
    user: row.user,
    project: row.project,
    state,
    attempt: row.attempt,
    hostId: row.hostId,
    reason: row.reason?.code ?? "",
    outcome: outcomeFromWire(row.outcome),
    needs: row.resources ?? nothing,
    priority: row.priority,
    // A kind that we do not know is waited for the stricter way.
    dependencies: row.dependencies.map(({ kind, taskId }) => ({
      kind: kind === Dependency_Kind.AFTER ? "after" : "afterok",
      taskId,
    })),
    createdAtMs: row.createTime?.getTime() ?? 0,
    array: row.array && arrayFromWire(row.array, row.cursor),
    avoidHosts: row.avoidHosts,
    ranMs: row.startTime && row.endTime ? row.endTime.getTime() - row.startTime.getTime() : undefined,
  };
}

const arrayFromWire = (array: NonNullable<TaskRow["array"]>, cursor: number): ArrayFacts => ({
  last: array.last,
  step: array.step,
  maxLive: array.maxLive,
  cursor,
});

const hostFromWire = (revision: number, host: Host): HostFacts => ({
  id: host.id,
  revision,
  up: host.status === HostStatus.UP,
  journalId: host.journalId,
  capacity: host.capacity ?? nothing,
  unknownUse: host.used ?? nothing,
  features: host.features,
});

export const planToWire = (term: number, plan: Plan): CommitPlanRequest => ({
  term,
  placements: plan.placements.map(({ taskId, attempt, host, journalId }) => ({
    taskId,
    attempt,
    hostId: host.id,
    journalId,
  })),
  ends: plan.ends.map(({ record, outcome, reason }) => ({
    taskId: record.id,
    outcome: outcomeToWire(outcome),
    reason: { ...reason },
  })),
});
