import { invalidField } from "@berth/core";
import type { AddFileRequest, FileServiceService } from "@berth/contracts/api";
import type { FileStoreServiceService, TaskStoreServiceService } from "@berth/contracts/store";
import type { GrpcClient, ServiceImplementation } from "@berth/runtime";
import { check } from "../checks/check.ts";
import * as rules from "../checks/requests.ts";
import type { CallerContext } from "./access-middleware.ts";
import { visibleTask } from "./task-service.ts";

const mostPieceBytes = 1024 * 1024;

/** Files of tasks that the caller may see. Bytes pass through piece by piece, as fast as the slower end takes them. */
export function fileService(
  store: GrpcClient<TaskStoreServiceService>,
  files: GrpcClient<FileStoreServiceService>,
): ServiceImplementation<FileServiceService, CallerContext> {
  return {
    async addFile(requests, { caller, signal }) {
      const pieces = requests[Symbol.asyncIterator]();
      const first = await pieces.next();
      if (first.done)
        throw invalidField("task_id", "is missing: the first message names task and path", "INVALID_TASK_ID");
      check(rules.addFile, first.value);
      await visibleTask(store, first.value.taskId, caller, signal);
      return files.addFile(followedBy(first.value, pieces), { signal });
    },

    async listFiles(request, { caller, signal }) {
      check(rules.listFiles, request);
      await visibleTask(store, request.taskId, caller, signal);
      return files.listFiles(request, { signal });
    },

    async *getFile(request, { caller, signal }) {
      check(rules.getFile, request);
      await visibleTask(store, request.taskId, caller, signal);
      yield* files.getFile(request, { signal });
    },
  };
}

async function* followedBy(first: AddFileRequest, rest: AsyncIterator<AddFileRequest>): AsyncGenerator<AddFileRequest> {
  for (let piece: IteratorResult<AddFileRequest> = { value: first }; !piece.done; piece = await rest.next()) {
    if (piece.value.content.length > mostPieceBytes)
      throw invalidField("content", "a piece has at most 1 MiB", "PIECE_TOO_LARGE");
    yield piece.value;
  }
}
