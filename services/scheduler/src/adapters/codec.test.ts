import { Change, TaskRow } from "@berth/contracts/store";
import { Dependency_Kind, Host, HostStatus, Outcome, TaskState } from "@berth/contracts/types";
import { fifoRanking } from "@berth/plugins";
import { aHostRow, aTaskRow } from "@berth/test-support";
import { readableRows } from "@berth/runtime";
import { describe, expect, it } from "vitest";
import { planCycle, policyWith } from "../domain/cycle.ts";
import { Queue } from "../domain/queue.ts";
import { planToWire, rowFromWire } from "./codec.ts";

const throughWire = (change: Change) => rowFromWire(Change.decode(Change.encode(change).finish()));

describe("codec", () => {
  it("reads what planning needs of a task", () => {
    const row = TaskRow.fromPartial({
      id: "17",
      user: "ada",
      project: "p",
      state: TaskState.PENDING,
      attempt: 2,
      hostId: "h1",
      reason: { code: "OVER_CAPACITY", message: "full" },
      resources: { cpuMilli: 500, memoryBytes: 2 ** 40 },
      priority: -3,
      dependencies: [
        { kind: Dependency_Kind.AFTER, taskId: "3" },
        { kind: Dependency_Kind.AFTER_OK, taskId: "4" },
      ],
      createTime: new Date(99),
      array: { first: 1, last: 9, step: 2, maxLive: 4 },
      cursor: 5,
      avoidHosts: ["h1"],
    });
    expect(throughWire({ revision: 8, row: { $case: "task", value: row } })).toEqual({
      kind: "task",
      task: {
        id: "17",
        revision: 8,
        user: "ada",
        project: "p",
        state: "pending",
        attempt: 2,
        hostId: "h1",
        reason: "OVER_CAPACITY",
        outcome: undefined,
        needs: { cpuMilli: 500, memoryBytes: 2 ** 40 },
        priority: -3,
        dependencies: [
          { kind: "after", taskId: "3" },
          { kind: "afterok", taskId: "4" },
        ],
        createdAtMs: 99,
        array: { last: 9, step: 2, maxLive: 4, cursor: 5 },
        avoidHosts: ["h1"],
      },
    });
  });

  it("reads what planning needs of a host", () => {
    const host = Host.fromPartial({
      id: "h1",
      status: HostStatus.UP,
      journalId: "j",
      capacity: { cpuMilli: 4000, memoryBytes: 8 },
      used: { cpuMilli: 1, memoryBytes: 2 },
      features: ["memory"],
    });
    expect(throughWire({ revision: 9, row: { $case: "host", value: host } })).toEqual({
      kind: "host",
      host: {
        id: "h1",
        revision: 9,
        up: true,
        journalId: "j",
        capacity: { cpuMilli: 4000, memoryBytes: 8 },
        unknownUse: { cpuMilli: 1, memoryBytes: 2 },
        features: ["memory"],
      },
    });
  });

  it("leaves out what it does not know", () => {
    expect(rowFromWire({ revision: 1, row: undefined })).toBeUndefined();
    expect(
      rowFromWire({ revision: 1, row: { $case: "task", value: TaskRow.fromPartial({ id: "1" }) } }),
    ).toBeUndefined();
  });

  it("sets aside a row with numbers that cannot be counted with, and reads all others", () => {
    const task = (id: string, more: Partial<TaskRow> = {}) => ({
      revision: 1,
      row: { $case: "task" as const, value: { ...TaskRow.fromPartial({ id, state: TaskState.PENDING }), ...more } },
    });
    const max = Number.MAX_SAFE_INTEGER;
    const aside: string[] = [];
    const rows = readableRows(
      [
        task("1"),
        task("2", { array: { first: max, last: max, step: 1, maxLive: 0 }, cursor: max }),
        task("3", { array: { first: 1, last: 5, step: 0, maxLive: 0 }, cursor: 1 }),
        task("x.y"),
        task("4", { resources: { cpuMilli: -1, memoryBytes: 0 } }),
        task("5", { resources: { cpuMilli: 1, memoryBytes: max } }),
      ],
      rowFromWire,
      { add: (id) => void aside.push(id) },
    );
    expect(aside).toEqual(["2", "3", "x.y", "4"]);
    expect(rows).toMatchObject([{ task: { id: "1" } }, { task: { id: "5", needs: { memoryBytes: 2 ** 46 } } }]);
  });

  it("writes placements, claims and ends", () => {
    const queue = new Queue();
    const rows = [
      aHostRow("h1"),
      aTaskRow("1", { attempt: 1 }),
      aTaskRow("2", { array: { last: 1, step: 1, maxLive: 0, cursor: 1 } }),
      aTaskRow("3", { needs: { cpuMilli: 10 ** 6, memoryBytes: 1 } }),
    ];
    for (const row of rows) queue.apply(row, 0);
    expect(
      planToWire(
        5,
        planCycle(queue, policyWith(fifoRanking()), 60_000, () => 0),
      ),
    ).toEqual({
      term: 5,
      placements: [
        { taskId: "1", attempt: 2, hostId: "h1", journalId: "journal-h1" },
        { taskId: "2.1", attempt: 1, hostId: "h1", journalId: "journal-h1" },
      ],
      ends: [
        {
          taskId: "3",
          outcome: Outcome.REJECTED,
          reason: { code: "NO_HOST_LARGE_ENOUGH", message: "it asks for more cpu or memory than any host has" },
        },
      ],
    });
  });
});
