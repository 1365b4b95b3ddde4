import { unreachable } from "@berth/core";
import { outcomeFromWire } from "@berth/contracts";
import type { Task } from "@berth/contracts/types";

/** As shells say it. */
const notStarted: Readonly<Record<string, number>> = {
  COMMAND_NOT_FOUND: 127,
  COMMAND_NOT_EXECUTABLE: 126,
  PERMISSION: 126,
};

/**
 * What `berth run` and `berth wait` exit with: the task's own code, or 128 + its signal. Where it has neither: killed and out of memory 137, timed out 124 as
 * timeout(1), command not found 127, not executable 126, all else 1.
 */
export function taskExitStatus(task: Task): number {
  const outcome = outcomeFromWire(task.outcome);
  switch (outcome) {
    case "succeeded":
      return 0;
    case "failed":
      if (task.exitCode !== undefined && task.exitCode !== 0) return task.exitCode;
      if (task.signal !== undefined) return 128 + task.signal;
      return notStarted[task.reason?.code ?? ""] ?? 1;
    case "killed":
    case "out_of_memory":
      return 137;
    case "timed_out":
      return 124;
    case "lost":
    case "rejected":
    case "dependency_failed":
    case undefined:
      return 1;
    default:
      return unreachable(outcome);
  }
}
