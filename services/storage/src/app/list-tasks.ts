import { invalidField } from "@berth/core";
import type { ListTasksRequest } from "@berth/contracts/store";
import { foreseeFind, findTask } from "../decisions/find-task.ts";
import { filterOf } from "../decisions/list-filter.ts";
import { unlessUnreadable } from "../decisions/record/damage.ts";
import { shortMessage } from "../decisions/record/task-message.ts";
import type { Engine, Page, PageRequest } from "../ports/engine.ts";

/** Tasks by filter, newest first; or elements by index. A page may be short, or empty, and yet have a next one. Rejects with `invalid` INVALID_FIELD. */
export async function listTasks(engine: Engine, request: ListTasksRequest): Promise<Page> {
  const size = request.pageSize === 0 ? 100 : request.pageSize;
  if (size < 1 || size > 1_000) throw invalidField("page_size", "must be from 1 to 1000");
  if (request.taskIds.length > 1_000) throw invalidField("task_ids", "must be at most 1000");
  const page = { request, size, wanted: filterOf(request) };
  if (request.taskIds.length > 0) return byId(engine, page);
  return request.arrayId === "" ? engine.pageOfTasks(page) : engine.pageOfElements(page);
}

function byId(engine: Engine, { request: { taskIds }, wanted }: PageRequest): Promise<Page> {
  return engine.ask(
    (look) => {
      for (const id of taskIds) foreseeFind(look, id);
    },
    (records) => ({
      tasks: taskIds.flatMap((id) => {
        const found = unlessUnreadable(() => findTask(records, id));
        return found && wanted(found.row, found.spec) ? [shortMessage(found)] : [];
      }),
      nextPageToken: "",
    }),
  );
}
