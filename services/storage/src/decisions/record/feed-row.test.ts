import { Change } from "@berth/contracts/store";
import { Dependency_Kind, TaskState } from "@berth/contracts/types";
import { describe, expect, it } from "vitest";
import { newArray } from "../../domain/array-record.ts";
import { pendingCode, placedCode } from "./codes.ts";
import { freshRow } from "./columns.ts";
import { encodeDependencies, encodeHead, freshChange, hostChange, taskChange } from "./feed-row.ts";

describe("taskChange", () => {
  const head = encodeHead({
    user: "ada",
    project: "words",
    name: "count",
    priority: -3,
    timeLimitMs: 2 ** 40,
    createTime: new Date(5),
  });
  const deps = encodeDependencies([{ kind: Dependency_Kind.AFTER, taskId: "7" }]);

  it("is a Change that anyone can read, of any size", () => {
    for (const revision of [1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 52]) {
      for (const message of ["", "x".repeat(200), "x".repeat(70_000)]) {
        const row = { ...freshRow(17, -1, pendingCode), reason_code: "R", reason_message: message };
        const change = Change.decode(taskChange(revision, row, { head, deps }));
        expect(change).toMatchObject({
          revision,
          row: {
            $case: "task",
            value: {
              id: "17",
              user: "ada",
              name: "count",
              priority: -3,
              timeLimitMs: 2 ** 40,
              reason: { code: "R", message },
            },
          },
        });
      }
    }
  });

  it("is the same for a task that was never placed, however it is made", () => {
    for (const number of [1, 17, 123_456_789_012]) {
      for (const each of [deps, null]) {
        const plain = taskChange(3, freshRow(number, -1, pendingCode), { head, deps: each });
        expect(Change.decode(freshChange(3, number, { head, deps: each }))).toEqual(Change.decode(plain));
      }
    }
  });

  it("tells of dependencies only while pending, and of an array only in its own row", () => {
    const value = (change: Buffer) => {
      const { row } = Change.decode(change);
      if (row?.$case !== "task") throw new Error("not a task");
      return row.value;
    };
    expect(value(taskChange(1, freshRow(17, -1, pendingCode), { head, deps })).dependencies).toEqual([
      { kind: Dependency_Kind.AFTER, taskId: "7" },
    ]);
    expect(value(taskChange(1, freshRow(17, -1, placedCode), { head, deps })).dependencies).toEqual([]);
    const array = newArray({ first: 0, last: 9, step: 3 }, 2);
    expect(value(taskChange(1, freshRow(17, -1, pendingCode), { head, deps: null }, array))).toMatchObject({
      array: { first: 0, last: 9, step: 3, maxLive: 2 },
      cursor: 0,
      progress: { total: 4, unclaimed: 4 },
    });
    expect(value(taskChange(1, freshRow(17, 0, placedCode), { head, deps }))).toMatchObject({
      id: "17.0",
      state: TaskState.PLACED,
      array: undefined,
      dependencies: [],
    });
  });

  it("carries a host as it was encoded", () => {
    expect(Change.decode(hostChange(9, new Uint8Array([10, 2, 104, 49])))).toMatchObject({
      revision: 9,
      row: { $case: "host", value: { id: "h1" } },
    });
  });
});
