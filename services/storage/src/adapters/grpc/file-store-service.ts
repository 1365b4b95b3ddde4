import { taskNotFound, invalidField } from "@berth/core";
import { LogStream } from "@berth/contracts/store";
import type { AddFileRequest, FileStoreServiceService, ReadLogResponse } from "@berth/contracts/store";
import type { ServiceImplementation } from "@berth/runtime";
import { filesAreGone, readLog } from "../../app/read-log.ts";
import type { LogDeps } from "../../app/read-log.ts";
import { innerFile, innerPath } from "../../domain/inner-path.ts";
import type { FilePath, FileStore, OutputStream } from "../../ports/file-store.ts";
import type { LogState, TaskStore } from "../../ports/task-store.ts";

export interface FileServiceDeps extends LogDeps {
  readonly store: TaskStore;
  readonly files: FileStore;
}

const appendAtMost = 1024 * 1024;

const streams: Readonly<Record<string, OutputStream>> = { [LogStream.STDOUT]: "stdout", [LogStream.STDERR]: "stderr" };
const both: readonly OutputStream[] = ["stdout", "stderr"];

/** FileStoreService. The caller (gateway or agent) has checked who may use these files. */
export function fileStoreService(deps: FileServiceDeps): ServiceImplementation<FileStoreServiceService> {
  const { store, files } = deps;
  const known = async (taskId: string): Promise<LogState> => {
    const state = await store.logState(taskId);
    if (!state) throw taskNotFound(taskId);
    if (state.archived) throw filesAreGone(taskId);
    return state;
  };

  return {
    async addFile(messages) {
      const incoming = messages[Symbol.asyncIterator]();
      const first = await incoming.next();
      if (first.done) throw invalidField("task_id", "must be in the first message");
      const { taskId, executable } = first.value;
      const path = pathOf(first.value);
      innerFile(path);
      const owner = await known(taskId);
      return { sizeBytes: await files.addFile(taskId, { path, executable, owner }, contents(first.value, incoming)) };
    },

    async listFiles(request) {
      const path = pathOf(request);
      innerPath(path);
      return files.list(request.taskId, path, await known(request.taskId));
    },

    async *getFile(request) {
      const path = pathOf(request);
      innerFile(path);
      const file = await files.read(request.taskId, path, await known(request.taskId));
      let first = true;
      for await (const content of file.content) {
        yield { content, sizeBytes: first ? file.sizeBytes : 0 };
        first = false;
      }
      if (first) yield { content: Buffer.alloc(0), sizeBytes: 0 };
    },

    async appendLog({ run, stream, offset, content }) {
      const name = streams[stream];
      if (!name) throw invalidField("stream", "must be stdout or stderr");
      if (content.length > appendAtMost) throw invalidField("content", "must be at most 1 MiB");
      const state = run && run.epoch === store.epoch ? await store.logState(run.taskId) : undefined;
      if (!run || !state || run.attempt < 1 || run.attempt > state.attempt)
        throw invalidField("run", "must be known to this database", "UNKNOWN_RUN");
      // The host was away longer than output is kept. Accept the output and drop it, so that the agent can settle the run.
      if (state.archived) return { sizeBytes: offset + content.length };
      return { sizeBytes: await files.appendLog(run, name, state, offset, content) };
    },

    async *readLog(request, { signal }) {
      const one = streams[request.stream];
      const wanted = {
        taskId: request.taskId,
        attempt: request.attempt,
        streams: one ? [one] : both,
        follow: request.follow,
        offsets: { stdout: request.stdoutOffset, stderr: request.stderrOffset },
      };
      for await (const { stream, content, attempt, offset, gap } of readLog(deps, wanted, signal)) {
        const name =
          stream === "stdout" ? LogStream.STDOUT : stream === "stderr" ? LogStream.STDERR : LogStream.UNSPECIFIED;
        const response: ReadLogResponse = {
          stream: name,
          content: Buffer.from(content.buffer, content.byteOffset, content.byteLength),
          attempt,
          offset,
          gap,
        };
        yield response;
      }
    },
  };
}

const pathOf = ({
  path,
  pathBytes,
}: {
  readonly path: string;
  readonly pathBytes?: Uint8Array | undefined;
}): FilePath => pathBytes ?? path;

async function* contents(first: AddFileRequest, rest: AsyncIterator<AddFileRequest>): AsyncGenerator<Uint8Array> {
  yield first.content;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value.content;
}
