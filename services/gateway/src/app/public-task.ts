import { legacyStatus } from "@berth/core";
import { outcomeFromWire, requestFromWire, stateFromWire } from "@berth/contracts";
import type { TaskRow } from "@berth/contracts/store";
import { Network, OnHostLost } from "@berth/contracts/types";
import type { LegacyStatus, Outcome, Task, TaskRequest, TaskState } from "@berth/contracts/types";

/** GO-Docker's words for a task; undefined for a state that a newer store sends and we do not know. */
export function legacyOf(task: {
  readonly state: TaskState;
  readonly request: TaskRequest;
  readonly outcome: Outcome;
}): LegacyStatus | undefined {
  const state = stateFromWire(task.state);
  return state && legacyStatus(state, requestFromWire(task.request), outcomeFromWire(task.outcome));
}

/** The stored task with the fields that the public API adds. */
export const toPublicTask = (task: Task): Task => ({ ...task, legacy: task.legacy ?? legacyOf(task) });

/** A row of the change feed as a watch shows it: of the spec only name, project, resources and array. */
export function rowToTask(revision: number, row: TaskRow): Task {
  return {
    id: row.id,
    spec: {
      ...emptySpec,
      name: row.name,
      project: row.project,
      resources: row.resources,
      priority: row.priority,
      timeLimitMs: row.timeLimitMs,
      dependencies: row.dependencies,
      ...(row.array ? { array: row.array } : {}),
    },
    identity: { user: row.user, uid: 0, gid: 0, groups: [] },
    state: row.state,
    detail: row.detail,
    outcome: row.outcome,
    reason: row.reason,
    request: row.request,
    attempt: row.attempt,
    hostId: row.hostId,
    ...(row.exitCode === undefined ? {} : { exitCode: row.exitCode }),
    ...(row.signal === undefined ? {} : { signal: row.signal }),
    createTime: row.createTime,
    ...(row.startTime ? { startTime: row.startTime } : {}),
    ...(row.endTime ? { endTime: row.endTime } : {}),
    usage: undefined,
    ...(row.progress ? { progress: row.progress } : {}),
    enforced: [],
    revision,
    attempts: [],
    legacy: legacyOf(row),
    mounts: [],
  };
}

const emptySpec = {
  image: "",
  command: [],
  script: "",
  env: {},
  volumes: [],
  workdir: "",
  graceMs: 0,
  files: [],
  network: Network.UNSPECIFIED,
  onHostLost: OnHostLost.UNSPECIFIED,
  hostLeaseMs: 0,
};
