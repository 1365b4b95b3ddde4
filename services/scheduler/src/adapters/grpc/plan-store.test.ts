import { AppError } from "@berth/core";
import type { CommitPlanRequest } from "@berth/contracts/store";
import { silentLogger } from "@berth/runtime";
import { aHostRow, aTaskRow } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { plan, queueOf } from "../../testing/cycles.ts";
import { grpcPlanStore } from "./plan-store.ts";

const never = new AbortController().signal;

describe("grpcPlanStore", () => {
  it("stores a plan without the decision that storage fails on, and tells which that is", async () => {
    const aside: string[] = [];
    const client = {
      async commitPlan({ placements, ends }: CommitPlanRequest) {
        if (placements.some(({ taskId }) => taskId === "3")) throw new AppError("internal", "INTERNAL", "broken");
        return {
          placementRefusals: placements.map(() => ""),
          endRefusals: ends.map(() => "NOT_PENDING"),
          assignments: placements.map(({ taskId }) => ({
            hostId: "h1",
            assign: { term: 1, specs: [], assignments: [], taskId },
          })),
        };
      },
    };
    const store = grpcPlanStore(client as never, "me", {
      logger: silentLogger,
      setAside: { add: (id) => void aside.push(id), clear: () => {} },
      problems: { set: () => {}, clear: () => {} },
    });
    const queue = queueOf(
      aHostRow("h1"),
      ...["1", "2", "3", "4"].map((id) => aTaskRow(id)),
      aTaskRow("5", { needs: { cpuMilli: 10 ** 9, memoryBytes: 1 } }),
    );
    const made = plan(queue);
    const answer = await store.commit(1, made, never);
    expect(answer.placementRefusals).toEqual(["", "", "CANNOT_STORE", ""]);
    expect(answer.endRefusals).toEqual(["NOT_PENDING"]);
    expect(answer.assignments).toHaveLength(3);
    expect(aside).toEqual(["3"]);
    // It waits apart; the others go on at once.
    queue.hold(made);
    queue.settle(made, answer, 60_000);
    queue.tick(119_000);
    expect(queue.get("3")!.phase).toBe("doubtful");
    queue.tick(120_000);
    expect(queue.get("3")!.phase).toBe("queued");
    // Alone in its plan, it is taken for the cause the second time.
    const alone = { ...made, placements: made.placements.slice(2, 3), ends: [] };
    await expect(store.commit(1, alone, never)).rejects.toMatchObject({ code: "internal" });
    expect((await store.commit(1, alone, never)).placementRefusals).toEqual(["CANNOT_STORE"]);
  });
});
