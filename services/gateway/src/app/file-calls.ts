import { invalidField } from "@berth/core";
import type { AddFileRequest, GetFileRequest, ListFilesRequest } from "@berth/contracts/api";
import type { FileStoreServiceService, TaskStoreServiceService } from "@berth/contracts/store";
import type { GrpcClient } from "@berth/runtime";
import type { Caller } from "../domain/caller.ts";
import type { RequestChecks } from "../ports/request-checks.ts";
import { visibleTask } from "./task-calls.ts";

const mostPieceBytes = 1024 * 1024;

export interface FileCallsDeps {
  readonly checks: RequestChecks;
  readonly store: Pick<GrpcClient<TaskStoreServiceService>, "getTask">;
  readonly files: GrpcClient<FileStoreServiceService>;
}

/** Files of tasks that the caller may see. Bytes are streamed, as fast as the slower side reads. */
export function fileCalls({ checks, store, files }: FileCallsDeps) {
  return {
    async addFile(caller: Caller, requests: AsyncIterable<AddFileRequest>, signal: AbortSignal) {
      const pieces = requests[Symbol.asyncIterator]();
      const first = await pieces.next();
      if (first.done)
        throw invalidField("task_id", "is missing: the first message names task and path", "INVALID_TASK_ID");
      checks.addFile(first.value);
      await visibleTask(store, first.value.taskId, caller, signal);
      return files.addFile(followedBy(first.value, pieces), { signal });
    },

    async listFiles(caller: Caller, request: ListFilesRequest, signal: AbortSignal) {
      checks.listFiles(request);
      await visibleTask(store, request.taskId, caller, signal);
      return files.listFiles(request, { signal });
    },

    async *getFile(caller: Caller, request: GetFileRequest, signal: AbortSignal) {
      checks.getFile(request);
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
