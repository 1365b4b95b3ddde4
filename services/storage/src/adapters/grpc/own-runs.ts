import { AppError } from "@berth/core";
import type { FileStoreServiceService } from "@berth/contracts/store";
import type { Task } from "@berth/contracts/types";
import { callerKey } from "@berth/runtime";
import type { ServiceImplementation } from "@berth/runtime";

type FileService = ServiceImplementation<FileStoreServiceService>;

/** So many runs' hosts are remembered: a run never moves, and its output comes in many pieces. */
const remembered = 10_000;

/** Lets an agent append to the output of runs that were placed on its own host, and to no other's. Throws `denied` NOT_ON_THIS_HOST. */
export function ownRunsOnly(files: FileService, taskOf: (taskId: string) => Promise<Task>): FileService {
  const hosts = new Map<string, string>();
  return {
    ...files,
    async appendLog(request, context) {
      const caller = String(context.metadata.get(callerKey) ?? "");
      const { run } = request;
      if (!run) return files.appendLog(request, context); // which says what is missing
      const key = `${run.epoch} ${run.taskId} ${run.attempt}`;
      const host = hosts.get(key) ?? hostOf(await taskOf(run.taskId), run.attempt);
      if (host === undefined || caller !== `agent/${host}`)
        throw new AppError(
          "denied",
          "NOT_ON_THIS_HOST",
          `attempt ${run.attempt} of ${run.taskId} was not placed on the host of ${caller}`,
        );
      if (hosts.size >= remembered) hosts.clear();
      hosts.set(key, host);
      return files.appendLog(request, context);
    },
  };
}

const hostOf = (task: Task, attempt: number): string | undefined =>
  attempt === task.attempt ? task.hostId : task.attempts.find((earlier) => earlier.attempt === attempt)?.hostId;
