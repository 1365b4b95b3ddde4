import { invalidField } from "@berth/core";
import { stateFromWire } from "@berth/contracts";
import type { ListTasksRequest, ListTasksResponse } from "@berth/contracts/store";
import type { Task } from "@berth/contracts/types";
import { overCode, stateCode } from "../../decisions/record/codes.ts";
import { filterOf, readPlace } from "../form/list-filter.ts";
import type { Wanted } from "../form/list-filter.ts";
import { shortMessage } from "../../decisions/record/task-message.ts";
import type { Batch } from "./batch.ts";
import type { MongoCalls, Query } from "./calls.ts";
import { taskKey } from "./collections.ts";
import { unlessUnreadable } from "../../decisions/record/damage.ts";
import { findNeeds, findTask } from "../../decisions/find-task.ts";
import { listElements } from "./list-elements.ts";
import type { Needs } from "./needs.ts";

/** How many records one call looks at before it answers with what it found, and how many it reads at once. */
const looksAtOnce = 2_000;
const readsAtOnce = 200;

export type Page = Omit<ListTasksResponse, "watchToken">;

export interface ListDeps {
  readonly calls: MongoCalls;
  inspect<T>(needs: (needs: Needs) => void, decide: (batch: Batch) => T): Promise<T>;
}

/** Tasks by filter, newest first; or elements by index. A page may be short, or empty, and yet have a next one. */
export async function listTasks(deps: ListDeps, request: ListTasksRequest): Promise<Page> {
  const size = request.pageSize === 0 ? 100 : request.pageSize;
  if (size < 1 || size > 1_000) throw invalidField("page_size", "must be from 1 to 1000");
  if (request.taskIds.length > 1_000) throw invalidField("task_ids", "must be at most 1000");
  const wanted = filterOf(request);
  if (request.taskIds.length > 0) return byId(deps, request.taskIds, wanted);
  if (request.arrayId === "") return byNumber(deps, request, size, wanted);
  return listElements(deps, request, size, (fallback) => readPlace(request.pageToken, fallback), wanted);
}

function byId({ inspect }: ListDeps, ids: readonly string[], wanted: Wanted): Promise<Page> {
  return inspect(
    (needs) => {
      for (const id of ids) findNeeds(needs, id);
    },
    (batch) => ({
      tasks: ids.flatMap((id) => {
        const found = unlessUnreadable(() => findTask(batch, id));
        return found && wanted(found.row, found.spec) ? [shortMessage(found)] : [];
      }),
      nextPageToken: "",
    }),
  );
}

async function byNumber(deps: ListDeps, request: ListTasksRequest, size: number, wanted: Wanted): Promise<Page> {
  let before = readPlace(request.pageToken, Number.MAX_SAFE_INTEGER);
  const tasks: Task[] = [];
  for (let looked = 0; ;) {
    const { numbers, isLast } = await nextNumbers(deps.calls, request, before);
    const found = await deps.inspect(
      (needs) => {
        for (const number of numbers) needs.task(number, -1);
      },
      (batch) => numbers.map((number) => unlessUnreadable(() => findTask(batch, `${number}`))),
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
  { user, states }: ListTasksRequest,
  before: number,
): Promise<{ readonly numbers: readonly number[]; readonly isLast: boolean }> {
  const liveOnly =
    states.length > 0 && states.every((state) => stateCode(stateFromWire(state) ?? "archived") < overCode);
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
