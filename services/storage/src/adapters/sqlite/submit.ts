import { AppError, arraySize, hasIndex, splitTaskId } from "@berth/core";
import { hostLeaseOf, toFailure } from "@berth/contracts";
import type { SubmitResult } from "@berth/contracts/store";
import { RunSpec } from "@berth/contracts/types";
import type { Database } from "@berth/database";
import { pendingCode } from "../records/codes.ts";
import { freshRow } from "../records/columns.ts";
import type { SpecColumns } from "../records/columns.ts";
import { encodeDependencies, encodeHead, taskChange } from "../records/feed-row.ts";
import { leaseColumn } from "../records/lease-column.ts";
import { checked, specHash } from "../records/new-task.ts";
import type { CheckedSpec } from "../records/new-task.ts";
import { newArray } from "../../domain/array-record.ts";
import type { StoredTask } from "../../ports/task-store.ts";
import type { Batch } from "./batch.ts";
import type { WaitedFor } from "./retention.ts";

/** Stores one task; what is wrong with it is its result, found before the first write. */
export function submitOne(
  db: Database,
  batch: Batch,
  item: StoredTask,
  nextNumber: () => number,
  waitedFor: WaitedFor,
): SubmitResult {
  try {
    const runSpec = checked(item);
    const key = item.task.clientKey;
    const hash = key === "" ? undefined : specHash(runSpec.spec);
    if (hash) {
      const known = db
        .sql("SELECT number, spec_hash FROM client_keys WHERE user = ? AND key = ?")
        .get(runSpec.identity.user, key);
      if (known) {
        if (!hash.equals(known["spec_hash"] as Uint8Array)) {
          throw new AppError(
            "conflict",
            "CLIENT_KEY_CONFLICT",
            `the key ${key} was used for task ${known["number"]}, which is another one`,
            {
              metadata: { task_id: String(known["number"]) },
            },
          );
        }
        return { taskId: String(known["number"]), existing: true };
      }
    }
    for (const { taskId } of runSpec.spec.dependencies) {
      checkDependency(batch, taskId, runSpec.identity.user, item.task.admin);
      waitedFor.note(taskId);
    }
    const number = item.number || nextNumber();
    if (hash)
      db.sql("INSERT INTO client_keys (user, key, number, spec_hash) VALUES (?, ?, ?, ?)").run(
        runSpec.identity.user,
        key,
        number,
        hash,
      );
    insert(db, batch, number, runSpec, hash && key);
    return { taskId: String(number), existing: false };
  } catch (error) {
    if (error instanceof AppError) return { taskId: "", existing: false, failure: toFailure(error) };
    throw error; // the database's own: the transaction's matter, not this task's
  }
}

function checkDependency(batch: Batch, id: string, user: string, admin: boolean): void {
  const { number, index } = splitTaskId(id);
  const parent = Number.isSafeInteger(number) ? batch.spec(number) : undefined;
  const found =
    parent && (index === undefined || (parent.is_array === 1 && hasIndex(batch.array(number)!.range, index)));
  if (!found)
    throw new AppError("not-found", "DEPENDENCY_NOT_FOUND", `there is no task ${id} to wait for`, {
      metadata: { task_id: id },
    });
  if (parent.user !== user && !admin) {
    throw new AppError("denied", "DEPENDENCY_NOT_YOURS", `task ${id} belongs to another user`, {
      metadata: { task_id: id },
    });
  }
}

function insert(db: Database, batch: Batch, number: number, runSpec: CheckedSpec, key: string | undefined): void {
  const { spec, identity } = runSpec;
  const resources = spec.resources!;
  const head = encodeHead({
    user: identity.user,
    project: spec.project,
    name: spec.name,
    resources,
    priority: spec.priority,
    timeLimitMs: spec.timeLimitMs,
    createTime: new Date(batch.at),
  });
  const deps = encodeDependencies(spec.dependencies);
  // The files are in the task's directory; each run would carry them otherwise.
  const stored = RunSpec.encode(
    spec.files.length > 0 ? { ...runSpec, spec: { ...spec, files: [] } } : runSpec,
  ).finish();
  const isArray = spec.array ? 1 : 0;
  db.sql(
    `INSERT INTO specs (number, user, project, name, is_array, uid, gid, cpu_milli, memory_bytes, created_at, head, deps, run_spec, client_key)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    number,
    identity.user,
    spec.project,
    spec.name,
    isArray,
    identity.uid,
    identity.gid,
    resources.cpuMilli,
    resources.memoryBytes,
    batch.at,
    head,
    deps,
    stored,
    key ?? null,
  );
  const revision = batch.nextRevision();
  db.sql("INSERT INTO tasks (number, idx, user, state, attempt, revision, lease_ms) VALUES (?, -1, ?, ?, 0, ?, ?)").run(
    number,
    identity.user,
    pendingCode,
    revision,
    leaseColumn(hostLeaseOf(spec)),
  );
  const array =
    spec.array &&
    newArray({ first: spec.array.first, last: spec.array.last, step: spec.array.step }, spec.array.maxLive);
  if (array) {
    db.sql(
      `INSERT INTO arrays (number, first, last, step, max_live, cursor, early, live, waiting, ended, cpu_ms, wall_ms)
       VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, '{}', 0, 0)`,
    ).run(number, array.range.first, array.range.last, array.range.step, array.maxLive, array.cursor);
  }
  const parts: Pick<SpecColumns, "head" | "deps"> = { head, deps };
  batch.announceEncoded(revision, identity.user, taskChange(revision, freshRow(number, -1, pendingCode), parts, array));
  batch.sums.moved(identity.user, 0, pendingCode, array ? arraySize(array.range) : 1);
}
