import { AppendLogRequest } from "@berth/contracts/store";
import { Task } from "@berth/contracts/types";
import { callerKey } from "@berth/runtime";
import { Metadata } from "nice-grpc-common";
import { beforeEach, describe, expect, it } from "vitest";
import { ownRunsOnly } from "./own-runs.ts";

type Files = ReturnType<typeof ownRunsOnly>;

/** A task whose first attempt was on Node_1, and whose second one is on Node_2. */
const task = Task.fromPartial({ id: "7", attempt: 2, hostId: "Node_2", attempts: [{ attempt: 1, hostId: "Node_1" }] });

describe("own runs", () => {
  let asked = 0;
  let guarded: Files;
  beforeEach(() => {
    asked = 0;
    const files = { appendLog: () => Promise.resolve({ sizeBytes: 1 }) } as unknown as Files;
    guarded = ownRunsOnly(files, async () => {
      asked += 1;
      return task;
    });
  });
  const append = (caller: string, attempt: number) =>
    guarded
      .appendLog(AppendLogRequest.fromPartial({ run: { epoch: "e", taskId: "7", attempt } }), {
        metadata: Metadata(caller === "" ? {} : { [callerKey]: caller }),
      } as Parameters<Files["appendLog"]>[1])
      .then(
        () => "appended",
        (error: { reason: string }) => error.reason,
      );

  it("take output of the host that each attempt was placed on, and of nobody else", async () => {
    const no = "NOT_ON_THIS_HOST";
    // Twice: what is remembered of a run lets nobody else in either.
    for (const _ of [1, 2]) {
      expect(await append("agent/Node_1", 1)).toBe("appended");
      expect(await append("agent/Node_2", 1)).toBe(no);
      expect(await append("agent/Node_2", 2)).toBe("appended");
      expect(await append("agent/Node_1", 2)).toBe(no);
      for (const caller of ["", "agent/", "agent/node_1", "agent/Node_1/x", "Node_1", "gateway"])
        expect(await append(caller, 1), caller).toBe(no);
      expect(await append("agent/Node_2", 3)).toBe(no);
      expect(await append("agent/undefined", 3)).toBe(no);
    }
  });

  it("are looked up once while their output comes", async () => {
    for (let n = 0; n < 5; n++) await append("agent/Node_1", 1);
    expect(asked).toBe(1);
  });
});
