import { invalidField, parseTaskId } from "@berth/core";
import type { Resources } from "@berth/core";
import { outcomeFromWire, outcomeToWire, stateFromWire } from "@berth/contracts";
import type { Change, CommitPlanRequest, TaskRow } from "@berth/contracts/store";
import { Dependency_Kind, HostStatus } from "@berth/contracts/types";
import type { Host } from "@berth/contracts/types";
import type { ArrayFacts, FeedRow, HostFacts, TaskFacts } from "../domain/feed.ts";
import type { Plan } from "../domain/plan.ts";

const nothing = { cpuMilli: 0, memoryBytes: 0 } as const;

/** Largest amount of a host, lead included, so that sums stay exact in a double. A larger host counts as this. */
const mostAmount = 2 ** 46;

/** A feed row as a domain value; undefined for a kind that only a newer storage knows. */
export function rowFromWire({ revision, row }: Change): FeedRow | undefined {
  if (row?.$case === "host") return { kind: "host", host: hostFromWire(revision, row.value) };
  const task = row?.$case === "task" ? taskFromWire(revision, row.value) : undefined;
  return task && { kind: "task", task };
}

function taskFromWire(revision: number, row: TaskRow): TaskFacts | undefined {
  const state = stateFromWire(row.state);
  if (!state) return undefined;
  parseTaskId(row.id, "id");
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
    needs: amounts(row.resources),
    priority: row.priority,
    // An unknown kind of dependency is treated as the stricter one.
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

function arrayFromWire(array: NonNullable<TaskRow["array"]>, cursor: number): ArrayFacts {
  const { last, step, maxLive } = array;
  // The cursor of a fully claimed array is one step beyond its last index.
  if (!(step >= 1 && cursor >= 0 && maxLive >= 0) || !Number.isSafeInteger(Math.max(last, cursor) + step))
    throw invalidField("array", `cursor ${cursor}, last ${last}, step ${step}: no such range can be walked`);
  return { last, step, maxLive, cursor };
}

function amounts(resources: Resources | undefined): Resources {
  const { cpuMilli, memoryBytes } = resources ?? nothing;
  if (cpuMilli < 0 || memoryBytes < 0) throw invalidField("resources", "amounts must not be negative");
  return { cpuMilli: Math.min(cpuMilli, mostAmount), memoryBytes: Math.min(memoryBytes, mostAmount) };
}

const hostFromWire = (revision: number, host: Host): HostFacts => ({
  id: host.id,
  revision,
  up: host.status === HostStatus.UP,
  journalId: host.journalId,
  capacity: amounts(host.capacity),
  unknownUse: amounts(host.used),
  features: host.features,
});

export const planToWire = (term: number, plan: Pick<Plan, "placements" | "ends">): CommitPlanRequest => ({
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
