import type { ListTasksRequest } from "@berth/contracts/store";
import type { Task } from "@berth/contracts/types";
import { asksOnlyLive, readPlace } from "../../decisions/list-filter.ts";
import type { Page, PageRequest } from "../../ports/engine.ts";
import { shortMessage } from "../../decisions/record/task-message.ts";
import type { MongoRecords } from "./records.ts";
import type { MongoCalls, Query } from "./calls.ts";
import { taskKey } from "./collections.ts";
import { unlessUnreadable } from "../../decisions/record/damage.ts";
import { findTask } from "../../decisions/find-task.ts";
import type { ToLoad } from "./to-load.ts";

/** How many records one call looks at before it answers with what it found, and how many it reads at once. */
const looksAtOnce = 2_000;
const readsAtOnce = 200;

export interface ListDeps {
  readonly calls: MongoCalls;
  inspect<T>(foresee: (toLoad: ToLoad) => void, decide: (records: MongoRecords) => T): Promise<T>;
}

/** Tasks and whole arrays, newest first. */
export async function pageOfTasks(deps: ListDeps, { request, size, wanted }: PageRequest): Promise<Page> {
  let before = readPlace(request.pageToken, Number.MAX_SAFE_INTEGER);
  const tasks: Task[] = [];
  for (let looked = 0; ;) {
    const { numbers, isLast } = await nextNumbers(deps.calls, request, before);
    const found = await deps.inspect(
      (toLoad) => {
        for (const number of numbers) toLoad.task(number, -1);
      },
      (records) => numbers.map((number) => unlessUnreadable(() => findTask(records, `${number}`))),
    );
    for (const [at, number] of numbers.entries()) {
      looked += 1;
      before = number;
      const task = found[at];
      if (task && wanted(task.row, task.spec)) tasks.push(shortMessage(task));
      if (tasks.length === size || looked >= looksAtOnce) return { tasks, nextPageToken: `${number}` };
    }
    if (isLast) return { tasks, nextPageToken: "" };
  }
}

/** The next tasks by number, downwards, each range bounded by equality on what comes before it in its index. */
async function nextNumbers(
  calls: MongoCalls,
  request: ListTasksRequest,
  before: number,
): Promise<{ readonly numbers: readonly number[]; readonly isLast: boolean }> {
  const { user } = request;
  const liveOnly = asksOnlyLive(request);
  const options = { sort: { _id: -1 as const }, limit: readsAtOnce, projection: { _id: 1 } };
  if (user === "" && !liveOnly) {
    // By their specs: by their records, a million elements would stand between two of them.
    const specs = await calls.find("specs", { _id: { $lt: before } }, options);
    return { numbers: specs.map((spec) => Number(spec["_id"])), isLast: specs.length < readsAtOnce };
  }
  const filter: Query = { idx: -1, _id: { $lt: taskKey(before, -1) } };
  if (user !== "") filter["user"] = user;
  if (liveOnly) filter["live"] = 1;
  const keys = await calls.find("tasks", filter, options);
  return { numbers: keys.map((key) => Number(key["_id"])), isLast: keys.length < readsAtOnce };
}
