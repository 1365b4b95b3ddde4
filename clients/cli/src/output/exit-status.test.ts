import { Outcome, Task } from "@berth/contracts/types";
import { describe, expect, it } from "vitest";
import { taskExitStatus } from "./exit-status.ts";
import { stateWords } from "./task-words.ts";

const over = (task: Partial<Task>) => Task.fromPartial({ id: "1", state: "TASK_STATE_OVER", ...task } as Task);

describe("taskExitStatus", () => {
  it.each<[number, string, Partial<Task>]>([
    [0, "succeeded", { outcome: Outcome.SUCCEEDED, exitCode: 0 }],
    [3, "failed (exit 3)", { outcome: Outcome.FAILED, exitCode: 3 }],
    [139, "failed (signal 11)", { outcome: Outcome.FAILED, signal: 11 }],
    [
      127,
      "failed (COMMAND_NOT_FOUND)",
      { outcome: Outcome.FAILED, reason: { code: "COMMAND_NOT_FOUND", message: "" } },
    ],
    [1, "failed (IMAGE_NOT_FOUND)", { outcome: Outcome.FAILED, reason: { code: "IMAGE_NOT_FOUND", message: "" } }],
    [137, "killed", { outcome: Outcome.KILLED, exitCode: 0 }],
    [124, "timed_out", { outcome: Outcome.TIMED_OUT }],
    [137, "out_of_memory", { outcome: Outcome.OUT_OF_MEMORY }],
    [1, "lost", { outcome: Outcome.LOST }],
    [1, "rejected", { outcome: Outcome.REJECTED }],
    [1, "dependency_failed", { outcome: Outcome.DEPENDENCY_FAILED }],
    [1, "over", { outcome: Outcome.UNRECOGNIZED }],
  ])("is %d for %s", (code, words, task) => {
    expect(taskExitStatus(over(task))).toBe(code);
    expect(stateWords(over(task))).toBe(words);
  });
});
