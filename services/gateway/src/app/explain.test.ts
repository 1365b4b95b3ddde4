import { AppError } from "@berth/core";
import { Outcome, Task, TaskState } from "@berth/contracts/types";
import { describe, expect, it } from "vitest";
import { explainTask } from "./explain.ts";

const signal = new AbortController().signal;
const schedulerWith = (known: string[]) =>
  ({
    async explain({ taskId }: { taskId: string }) {
      if (!known.includes(taskId)) throw AppError.received("not-found", "NOT_PENDING_HERE", "not pending here");
      return {
        explanation: {
          taskId,
          code: "WAITING_FOR_CAPACITY",
          message: "no host",
          position: 1,
          pending: 1,
          refusals: [],
          waitsFor: [],
        },
      };
    },
  }) as never;
const aTask = (over: Partial<Task>) => Task.fromPartial({ id: "17", state: TaskState.PENDING, ...over } as Task);

describe("explainTask", () => {
  it("gives the planner's words; of an element those of its array", async () => {
    expect((await explainTask(schedulerWith(["17"]), aTask({}), signal)).code).toBe("WAITING_FOR_CAPACITY");
    expect((await explainTask(schedulerWith(["17"]), aTask({ id: "17.4" }), signal)).taskId).toBe("17");
    expect((await explainTask(schedulerWith([]), aTask({}), signal)).code).toBe("NOT_LOOKED_AT_YET");
  });

  it("explains an array that runs while some of it waits", async () => {
    const progress = { total: 9, unclaimed: 3, live: 2, waiting: 0, ended: {}, maxLive: 0 };
    expect((await explainTask(schedulerWith(["17"]), aTask({ state: TaskState.RUNNING, progress }), signal)).code).toBe(
      "WAITING_FOR_CAPACITY",
    );
  });

  it.each([
    [
      { state: TaskState.RUNNING, hostId: "h1" },
      { state: "running", host: "h1" },
    ],
    [
      { state: TaskState.OVER, outcome: Outcome.KILLED },
      { state: "over", outcome: "killed" },
    ],
  ])("refuses what does not wait, with its state", async (over, metadata) => {
    await expect(explainTask(schedulerWith(["17"]), aTask(over), signal)).rejects.toMatchObject({
      code: "precondition",
      reason: "NOT_PENDING",
      metadata,
    });
  });
});
