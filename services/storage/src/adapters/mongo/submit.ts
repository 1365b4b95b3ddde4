import { AppError, arraySize, hasIndex, splitTaskId } from "@berth/core";
import { hostLeaseOf, toFailure } from "@berth/contracts";
import type { SubmitResult } from "@berth/contracts/store";
import { RunSpec } from "@berth/contracts/types";
import { pendingCode } from "../records/codes.ts";
import { encodeDependencies, encodeHead } from "../records/feed-row.ts";
import { leaseColumn } from "../records/lease-column.ts";
import { checked, specHash } from "../records/new-task.ts";
import type { CheckedSpec } from "../records/new-task.ts";
import { newArray } from "../../domain/array-record.ts";
import type { StoredTask } from "../../ports/task-store.ts";
import { freshTask } from "../records/columns.ts";
import type { Batch } from "./batch.ts";
import { clientKeyOf } from "./collections.ts";
import type { SpecDoc } from "./spec-doc.ts";
import type { Needs } from "./needs.ts";

export function submitNeeds(needs: Needs, { task }: StoredTask): void {
  const user = task.runSpec?.identity?.user;
  if (user !== undefined && task.clientKey !== "") needs.keys.add(clientKeyOf(user, task.clientKey));
  for (const { taskId } of task.runSpec?.spec?.dependencies ?? []) {
    const { number } = splitTaskId(taskId);
    if (Number.isSafeInteger(number)) needs.task(number, -1);
  }
}

/** Stores one task; what is wrong with it is its result. */
export function submitOne(batch: Batch, item: StoredTask): SubmitResult {
  try {
    const runSpec = checked(item);
    const key = item.task.clientKey === "" ? undefined : clientKeyOf(runSpec.identity.user, item.task.clientKey);
    const hash = key === undefined ? undefined : specHash(runSpec.spec);
    const known = key === undefined ? undefined : batch.key(key);
    if (known) {
      if (!hash!.equals(known.spec_hash)) throw keyConflict(item.task.clientKey, known.number);
      return { taskId: String(known.number), existing: true };
    }
    for (const { taskId } of runSpec.spec.dependencies)
      checkDependency(batch, taskId, runSpec.identity.user, item.task.admin);
    const number = item.number || batch.nextNumber();
    if (key !== undefined) batch.changes.keys.set(key, { _id: key, number, spec_hash: hash! });
    insert(batch, number, runSpec, key);
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

function checkDependency(batch: Batch, id: string, user: string, admin: boolean): void {
  const metadata = { task_id: id };
  const { number, index } = splitTaskId(id);
  const parent = Number.isSafeInteger(number) && batch.task(number, -1) ? batch.spec(number) : undefined;
  const found =
    parent && (index === undefined || (parent.is_array === 1 && hasIndex(batch.array(number)!.range, index)));
  if (!found)
    throw new AppError("not-found", "DEPENDENCY_NOT_FOUND", `there is no task ${id} to wait for`, { metadata });
  if (parent.user !== user && !admin)
    throw new AppError("denied", "DEPENDENCY_NOT_YOURS", `task ${id} belongs to another user`, { metadata });
}

function insert(batch: Batch, number: number, runSpec: CheckedSpec, key: string | undefined): void {
  const { spec, identity } = runSpec;
  const resources = spec.resources!;
  const createdAt = batch.at;
  const doc: SpecDoc = {
    _id: number,
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
    // The files are in the task's directory; each run would carry them otherwise.
    run_spec: RunSpec.encode(spec.files.length > 0 ? { ...runSpec, spec: { ...spec, files: [] } } : runSpec).finish(),
    ...(key === undefined ? {} : { client_key: key }),
  };
  batch.changes.specs.set(number, doc);
  const range = spec.array && { first: spec.array.first, last: spec.array.last, step: spec.array.step };
  const array = range && newArray(range, spec.array!.maxLive);
  const parents = [...new Set(spec.dependencies.map(({ taskId }) => splitTaskId(taskId).number))];
  batch.announce(
    {
      ...freshTask(number, -1, identity.user, pendingCode, leaseColumn(hostLeaseOf(spec))),
      ...(array ? { unsettled: 1 as const } : {}),
      ...(parents.length > 0 ? { parents } : {}),
    },
    doc,
    array,
  );
  batch.sums.moved(identity.user, 0, pendingCode, array ? arraySize(array.range) : 1);
}
