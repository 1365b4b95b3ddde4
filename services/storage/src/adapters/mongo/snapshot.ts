import { TaskRow } from "@berth/contracts/store";
import type { SnapshotResponse } from "@berth/contracts/store";
import { overCode, pendingCode } from "../../decisions/record/codes.ts";
import { taskChange } from "../../decisions/record/feed-row.ts";
import { recordUnreadable, unlessUnreadable } from "../../decisions/record/damage.ts";
import { openArray } from "./open-array.ts";
import type { MongoRecords } from "./records.ts";
import type { MongoCalls, Session } from "./calls.ts";
import type { TaskDoc, WriterDoc } from "./collections.ts";
import { foreseeFind, findTask } from "../../decisions/find-task.ts";
import type { Hosts } from "./hosts.ts";
import { toTasks } from "./task-doc.ts";
import type { ToLoad } from "./to-load.ts";

const rowsAtOnce = 500;

export interface SnapshotDeps {
  readonly calls: MongoCalls;
  readonly hosts: Hosts;
  token(seq: number): string;
  /** Answers from documents that are read for it, in that session. */
  inspect<T>(foresee: (toLoad: ToLoad) => void, decide: (records: MongoRecords) => T, session: Session): Promise<T>;
}

/** A token, the hosts, then the live records in key order; before a pending task the outcomes of its parents that are over. */
export async function* snapshot(deps: SnapshotDeps, signal: AbortSignal): AsyncGenerator<SnapshotResponse> {
  const { calls, hosts } = deps;
  // One session: no later read is of an older state than the token, whichever server answers.
  const session = calls.session();
  try {
    const [found] = await calls.find("meta", { _id: "writer" }, {}, session);
    const writer = found as unknown as WriterDoc;
    // Taken before the first row is read: changes made since then come again from the feed, under a larger revision.
    const known = await hosts.at(writer.hosts_revision);
    yield { token: deps.token(writer.revision), epoch: writer.epoch, changes: hosts.changes(known) };
    const told = new Set<string>();
    let after = "";
    while (!signal.aborted) {
      const filter = { live: 1, _id: { $gt: after } };
      const docs = await calls.find("tasks", filter, { sort: { _id: 1 }, limit: rowsAtOnce }, session);
      if (docs.length === 0) return;
      yield { token: "", epoch: "", changes: await chunk(deps, toTasks(docs), told, session) };
      after = String(docs.at(-1)!["_id"]);
    }
  } finally {
    await calls.end(session);
  }
}

function chunk(deps: SnapshotDeps, rows: readonly TaskDoc[], told: Set<string>, session: Session): Promise<Buffer[]> {
  const foresee = (toLoad: ToLoad) => {
    for (const row of rows) toLoad.specs.add(row.number);
  };
  return deps.inspect(
    foresee,
    (records) => {
      const waits = rows.map((row) =>
        (unlessUnreadable(() => dependenciesOf(records, row)) ?? []).filter((taskId) => !told.has(taskId)),
      );
      records.foresee((wanted) => {
        for (const taskId of waits.flat()) foreseeFind(wanted, taskId);
      });
      // Runs again if a parent was not loaded, so what was sent is remembered only at its end.
      const toldNow = new Set<string>();
      const changes = rows.flatMap(
        (row, at) =>
          unlessUnreadable(() => [...parentsOf(records, waits[at]!, toldNow), liveChange(records, row)]) ?? [],
      );
      for (const parent of toldNow) told.add(parent);
      return changes;
    },
    session,
  );
}

const liveChange = (records: MongoRecords, row: TaskDoc): Buffer =>
  taskChange(row.revision, row, records.spec(row.number)!, row.array && openArray(row, row.array));

/** Ids of what a pending task waits for. */
function dependenciesOf(records: MongoRecords, row: TaskDoc): string[] {
  const { deps } = records.spec(row.number)!;
  if (deps === null || row.state !== pendingCode) return [];
  try {
    return TaskRow.decode(deps).dependencies.map(({ taskId }) => taskId);
  } catch (error) {
    throw recordUnreadable(row.number, -1, "its dependencies", error);
  }
}

/** Feed rows of parents that are over; a live parent has a row of its own in the snapshot. */
function parentsOf(records: MongoRecords, taskIds: readonly string[], toldNow: Set<string>): Buffer[] {
  return taskIds.flatMap((taskId) => {
    if (toldNow.has(taskId)) return [];
    const found = unlessUnreadable(() => findTask(records, taskId));
    if (!found || found.row.state < overCode) return [];
    toldNow.add(taskId);
    return [taskChange(found.row.revision, found.row, found.spec, found.array)];
  });
}
