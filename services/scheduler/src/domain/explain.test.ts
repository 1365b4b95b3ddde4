import { GiB } from "@berth/core";
import { fifoRanking } from "@berth/plugins";
import { aHostRow, aTaskRow } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { queueOf } from "../testing/cycles.ts";
import { planCycle, policyWith } from "./cycle.ts";
import { largestHosts } from "./largest-hosts.ts";
import { explain } from "./explain.ts";
import { standardFilters } from "./filters.ts";
import type { Queue } from "./queue.ts";

const why = (queue: Queue, id: string) => explain(queue, id, standardFilters);
const full = aHostRow("h1", { capacity: { cpuMilli: 1000, memoryBytes: GiB } });
const taken = aTaskRow("1", { state: "running", attempt: 1, hostId: "h1" });

describe("explain", () => {
  it("says what each filter refused, the commonest first, and the position", () => {
    const queue = queueOf(
      full,
      taken,
      aHostRow("h2", { up: false }),
      aHostRow("h3", { capacity: { cpuMilli: 500, memoryBytes: GiB } }),
      aTaskRow("2"),
      aTaskRow("3", { user: "bob" }),
    );
    expect(why(queue, "3")).toEqual({
      code: "WAITING_FOR_CAPACITY",
      message: "no host can take it now: 2 hosts with less than 1 cpu free, 1 host not heard of for a while",
      position: 2,
      pending: 2,
      refusals: ["2 hosts with less than 1 cpu free", "1 host not heard of for a while"],
      waitsFor: [],
    });
  });

  it("names the owner who is disabled, also of an array", () => {
    const queue = queueOf(
      aHostRow("h1"),
      aTaskRow("1", { user: "bob" }),
      aTaskRow("2", { user: "bob", array: { last: 3, step: 1, maxLive: 1, cursor: 0 } }),
      aTaskRow("3"),
    );
    queue.disabledUsers = new Set(["bob"]);
    const disabled = { code: "OWNER_DISABLED", message: expect.stringContaining("user bob is disabled") as string };
    for (const id of ["1", "2", "2.3"]) expect(why(queue, id)).toMatchObject(disabled);
    expect(why(queue, "3")!.code).toBe("NOT_LOOKED_AT_YET");
  });

  it("tells memory from cpu", () => {
    const queue = queueOf(
      full,
      aTaskRow("9", { state: "running", attempt: 1, hostId: "h1", needs: { cpuMilli: 0, memoryBytes: GiB } }),
      aTaskRow("2"),
    );
    expect(why(queue, "2")!.refusals).toEqual(["1 host with less than 256M memory free"]);
  });

  it("says of an array that its last elements are being placed, as long as storage has not said so", () => {
    const queue = queueOf(aHostRow("h1"), aTaskRow("2", { array: { last: 1, step: 1, maxLive: 0, cursor: 1 } }));
    queue.hold(planCycle(queue, policyWith(fifoRanking()), 0, () => 0.5));
    expect(why(queue, "2")).toMatchObject({ code: "BEING_PLACED" });
    expect(why(queue, "2.1")).toMatchObject({ code: "BEING_PLACED" });
  });

  it("names hosts to avoid, as long as there is another", () => {
    const busy = aTaskRow("9", {
      state: "running",
      attempt: 1,
      hostId: "h2",
      needs: { cpuMilli: 4000, memoryBytes: GiB },
    });
    const queue = queueOf(aHostRow("h1"), aHostRow("h2"), busy, aTaskRow("2", { attempt: 1, avoidHosts: ["h1"] }));
    expect(why(queue, "2")!.refusals).toContain("1 host where it failed before by a fault of the system");
    expect(why(queueOf(aHostRow("h1"), aTaskRow("2", { attempt: 1, avoidHosts: ["h1"] })), "2")).toMatchObject({
      code: "NOT_LOOKED_AT_YET",
    });
  });

  it("knows the largest hosts: those that no other exceeds in cpu and memory", () => {
    const sized = (id: string, cpuMilli: number, memoryBytes: number) =>
      aHostRow(id, { capacity: { cpuMilli, memoryBytes } });
    const queue = queueOf(
      sized("wide", 8_000, GiB),
      sized("deep", 1_000, 9 * GiB),
      sized("small", 1_000, GiB),
      sized("even", 4_000, 4 * GiB),
      sized("again", 4_000, 4 * GiB),
    );
    expect(largestHosts(queue.hosts)).toEqual([
      { cpuMilli: 8_000, memoryBytes: GiB },
      { cpuMilli: 4_000, memoryBytes: 4 * GiB },
      { cpuMilli: 1_000, memoryBytes: 9 * GiB },
    ]);
  });

  it("tells no hosts, none large enough, and not looked at yet apart", () => {
    expect(why(queueOf(aTaskRow("2")), "2")).toMatchObject({ code: "NO_HOSTS", position: 1 });
    expect(why(queueOf(full, aTaskRow("2", { needs: { cpuMilli: 9000, memoryBytes: 1 } })), "2")).toMatchObject({
      code: "NO_HOST_LARGE_ENOUGH",
    });
    expect(why(queueOf(full, aTaskRow("2")), "2")).toMatchObject({ code: "NOT_LOOKED_AT_YET" });
  });

  it("names the tasks that are waited for", () => {
    const queue = queueOf(full, taken, aTaskRow("2", { dependencies: [{ kind: "afterok", taskId: "1" }] }));
    expect(why(queue, "2")).toMatchObject({
      code: "WAITING_FOR_DEPENDENCY",
      message: "waits for task 1",
      waitsFor: ["1"],
    });
    queue.apply(aTaskRow("1", { state: "over", attempt: 1, outcome: "timed_out" }), 0);
    expect(why(queue, "2")).toMatchObject({
      code: "DEPENDENCY_FAILED",
      message: "task 1, which must succeed first, ended as timed out",
    });
  });

  it("explains an array at its limit, also for elements that it has not claimed", () => {
    const queue = queueOf(aHostRow("h1"), aTaskRow("7", { array: { last: 10, step: 1, maxLive: 1, cursor: 1 } }));
    queue.hold(planCycle(queue, policyWith(fifoRanking()), 60_000, () => 0));
    expect(why(queue, "7")).toMatchObject({ code: "ARRAY_LIMIT", pending: 9 });
    expect(why(queue, "7.5")).toMatchObject({ code: "ARRAY_LIMIT" });
    expect(why(queue, "7.1")).toMatchObject({ code: "BEING_PLACED" });
    expect(why(queue, "7.11")).toBeUndefined();
  });

  it("knows nothing of what is not pending", () => {
    const queue = queueOf(full, taken);
    expect(why(queue, "1")).toBeUndefined();
    expect(why(queue, "404")).toBeUndefined();
  });
});
