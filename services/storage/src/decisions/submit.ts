import { AppError, arraySize, hasIndex, splitTaskId, dependencyNotFound } from "@berth/core";
import { hostLeaseOf, toFailure } from "@berth/contracts";
import type { SubmitResult } from "@berth/contracts/store";
import { RunSpec } from "@berth/contracts/types";
import { pendingCode } from "./record/codes.ts";
import { encodeDependencies, encodeHead } from "./record/feed-row.ts";
import { lossColumns } from "./record/loss-columns.ts";
import { checked, specHash } from "./record/new-task.ts";
import type { CheckedSpec } from "./record/new-task.ts";
import { newArray } from "../domain/array-record.ts";
import type { StoredTask } from "../ports/task-store.ts";
import type { SpecColumns } from "./record/columns.ts";
import type { Foreseen, NewRecord, Records } from "../ports/records.ts";

export function foreseeSubmit(look: Foreseen, { task }: StoredTask): void {
  const user = task.runSpec?.identity?.user;
  if (user !== undefined && task.clientKey !== "") look.clientKey(user, task.clientKey);
  for (const { taskId } of task.runSpec?.spec?.dependencies ?? []) {
    const { number } = splitTaskId(taskId);
    if (Number.isSafeInteger(number)) look.task(number, -1);
  }
}

/** Stores one task. A failure is returned as that task's result. */
export function submitOne(records: Records, item: StoredTask): SubmitResult {
  try {
    const runSpec = checked(item);
    const { user } = runSpec.identity;
    const key = item.task.clientKey;
    const hash = key === "" ? undefined : specHash(runSpec.spec);
    const known = hash && records.clientKey(user, key);
    if (known) {
      if (!hash.equals(known.spec_hash)) throw keyConflict(key, known.number);
      return { taskId: String(known.number), existing: true };
    }
    for (const { taskId } of runSpec.spec.dependencies) checkDependency(records, taskId, user, item.task.admin);
    const number = item.number || records.nextNumber();
    insert(records, number, runSpec, hash && { key, number, spec_hash: hash });
    return { taskId: String(number), existing: false };
  } catch (error) {
    if (error instanceof AppError) return { taskId: "", existing: false, failure: toFailure(error) };
    throw error;
  }
}

const keyConflict = (key: string, number: number) =>
  new AppError("conflict", "CLIENT_KEY_CONFLICT", `the key ${key} was used for task ${number}, which is another one`, {
    metadata: { task_id: String(number) },
  });

function checkDependency(records: Records, id: string, user: string, admin: boolean): void {
  const metadata = { task_id: id };
  const { number, index } = splitTaskId(id);
  const parent = Number.isSafeInteger(number) && records.task(number, -1) ? records.spec(number) : undefined;
  const found =
    parent && (index === undefined || (parent.is_array === 1 && hasIndex(records.array(number)!.range, index)));
  if (!found) throw dependencyNotFound(id);
  if (parent.user !== user && !admin)
    throw new AppError("denied", "DEPENDENCY_NOT_YOURS", `task ${id} belongs to another user`, { metadata });
}

function insert(records: Records, number: number, runSpec: CheckedSpec, clientKey: NewRecord["clientKey"]): void {
  const { spec, identity } = runSpec;
  const resources = spec.resources!;
  const createdAt = records.at;
  const columns: SpecColumns = {
    number,
    user: identity.user,
    project: spec.project,
    name: spec.name,
    is_array: spec.array ? 1 : 0,
    uid: identity.uid,
    gid: identity.gid,
    cpu_milli: resources.cpuMilli,
    memory_bytes: resources.memoryBytes,
    created_at: createdAt,
    head: encodeHead({
      user: identity.user,
      project: spec.project,
      name: spec.name,
      resources,
      priority: spec.priority,
      timeLimitMs: spec.timeLimitMs,
      createTime: new Date(createdAt),
    }),
    deps: encodeDependencies(spec.dependencies),
  };
  const range = spec.array && { first: spec.array.first, last: spec.array.last, step: spec.array.step };
  const array = range && newArray(range, spec.array!.maxLive);
  const parents = [...new Set(spec.dependencies.map(({ taskId }) => splitTaskId(taskId).number))];
  records.add(columns, {
    loss: lossColumns(hostLeaseOf(spec)),
    array,
    // The files are in the task's directory already; left in the spec, each assignment would send them again.
    runSpec: RunSpec.encode(spec.files.length > 0 ? { ...runSpec, spec: { ...spec, files: [] } } : runSpec).finish(),
    clientKey,
    parents,
  });
  records.sums.moved(identity.user, 0, pendingCode, array ? arraySize(array.range) : 1);
}
