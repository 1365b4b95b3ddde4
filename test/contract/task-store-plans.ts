import { RunPhase } from "@berth/contracts/agent";
import { Outcome, TaskState } from "@berth/contracts/types";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

export function planTests(make: MakeDatabase): void {
  it("places a task, announces it and answers with what its host needs", async () => {
    await using h = await Harness.open(make);
    const [a, b, c] = [
      await h.submit({ command: ["a"] }),
      await h.submit({ command: ["b"] }),
      await h.submit({ command: ["c"] }),
    ];
    const token = await h.token();
    const { placementRefusals, assignments } = await h.plan([
      [a, 1, "h1"],
      [b, 1, "h2"],
      [c, 1, "h1"],
    ]);
    expect(placementRefusals).toEqual(["", "", ""]);
    expect(assignments.map(({ hostId }) => hostId)).toEqual(["h1", "h2"]);
    const first = assignments[0]!.assign!;
    expect(first.term).toBe(h.term);
    expect(
      first.assignments.map(({ run, journalId, specIndex }) => [run, journalId, first.specs[specIndex]!.spec!.command]),
    ).toEqual([
      [{ epoch: h.store.epoch, taskId: a, attempt: 1 }, "journal-h1", ["a"]],
      [{ epoch: h.store.epoch, taskId: c, attempt: 1 }, "journal-h1", ["c"]],
    ]);
    expect((await h.changes(token)).tasks).toMatchObject([
      { id: a, state: TaskState.PLACED, attempt: 1, hostId: "h1", journalId: "journal-h1", user: "ada" },
      { id: b, state: TaskState.PLACED, attempt: 1, hostId: "h2", journalId: "journal-h2" },
      { id: c, state: TaskState.PLACED, attempt: 1, hostId: "h1" },
    ]);
    expect(await h.committed(a)).toMatchObject({ state: TaskState.PLACED, hostId: "h1", placeTime: new Date(h.nowMs) });
  });

  it("refuses what no longer holds, and commits the rest of the plan", async () => {
    await using h = await Harness.open(make);
    const [placed, killed, free, array] = [
      await h.submit(),
      await h.submit(),
      await h.submit(),
      await h.submit({ array: { first: 1, last: 2, step: 1, maxLive: 0 } }),
    ];
    await h.place(placed);
    await h.kill(killed);
    const { placementRefusals, assignments } = await h.plan([
      [placed, 2],
      [killed, 1],
      [free, 2],
      [free, 0],
      [free, 1, "h1", "journal-of-before"],
      [free, 1, "nowhere"],
      ["999", 1],
      [`${free}.1`, 1],
      [array, 1],
      ["nonsense", 1],
      [free, 1],
    ]);
    expect(placementRefusals).toEqual([
      "NOT_PENDING",
      "NOT_PENDING",
      "STALE_ATTEMPT",
      "STALE_ATTEMPT",
      "HOST_CHANGED",
      "HOST_CHANGED",
      "NOT_FOUND",
      "NOT_FOUND",
      "NOT_PENDING",
      "NOT_FOUND",
      "",
    ]);
    expect(assignments.flatMap(({ assign }) => assign!.assignments.map(({ run }) => run!.taskId))).toEqual([free]);
  });

  it("lets one of two plans that race win", async () => {
    await using h = await Harness.open(make);
    const ids = await Promise.all(Array.from({ length: 20 }, () => h.submit()));
    const [one, two] = await Promise.all([
      h.plan(ids.map((id) => [id, 1, "h1"])),
      h.plan(ids.map((id) => [id, 1, "h2"])),
    ]);
    ids.forEach((_, at) =>
      expect([one.placementRefusals[at], two.placementRefusals[at]].filter((why) => why === "")).toHaveLength(1),
    );
  });

  it("does nothing of a plan of another term", async () => {
    await using h = await Harness.open(make);
    const id = await h.submit();
    const stale = { code: "precondition", reason: "STALE_TERM" };
    await expect(h.plan([[id, 1]], [], h.term - 1)).rejects.toMatchObject(stale);
    await expect(h.plan([[id, 1]], [], h.term + 1)).rejects.toMatchObject(stale);
    h.nowMs += 60_001;
    await h.store.acquireLease({ name: "scheduler", holder: "another", ttlMs: 60_000 });
    await expect(
      h.plan([[id, 1]], [{ taskId: id, outcome: Outcome.REJECTED, reason: undefined }]),
    ).rejects.toMatchObject(stale);
    expect(await h.get(id)).toMatchObject({ state: TaskState.PENDING, attempt: 0 });
  });

  it("ends what is pending, with the reason, and nothing else", async () => {
    await using h = await Harness.open(make);
    const [pending, placed, whole] = [
      await h.submit(),
      await h.submit(),
      await h.submit({ array: { first: 1, last: 5, step: 1, maxLive: 0 } }),
    ];
    await h.place(placed);
    const reason = { code: "NO_HOST_LARGE_ENOUGH", message: "no host has 999 processors" };
    const end = (taskId: string) => ({ taskId, outcome: Outcome.REJECTED, reason });
    const { endRefusals } = await h.plan(
      [],
      [end(pending), end(placed), end("999"), end(whole), end(pending), { ...end(placed), outcome: Outcome.SUCCEEDED }],
    );
    expect(endRefusals).toEqual(["", "NOT_PENDING", "NOT_FOUND", "", "NOT_PENDING", "NOT_PENDING"]);
    expect(await h.get(pending)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.REJECTED,
      reason,
      endTime: new Date(h.nowMs),
    });
    expect(await h.get(placed)).toMatchObject({ state: TaskState.PLACED });
    expect(await h.get(whole)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.REJECTED,
      reason,
      progress: { unclaimed: 0, ended: { rejected: 5 } },
    });
    expect(await h.get(`${whole}.3`)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.REJECTED });
  });

  it("gives a lease to one holder at a time, by its own clock, with a term that grows", async () => {
    await using h = await Harness.open(make);
    const acquire = (holder: string, ttlMs = 1_000) => h.store.acquireLease({ name: "timers", holder, ttlMs });
    expect(await acquire("a")).toEqual({ held: true, term: 1, holder: "a" });
    expect(await acquire("b")).toEqual({ held: false, term: 1, holder: "a" });
    h.nowMs += 900;
    expect(await acquire("a")).toEqual({ held: true, term: 1, holder: "a" });
    h.nowMs += 900;
    expect(await acquire("b")).toMatchObject({ held: false });
    h.nowMs += 101;
    expect(await acquire("b")).toEqual({ held: true, term: 2, holder: "b" });
    await h.reopen();
    expect(await acquire("a")).toEqual({ held: false, term: 2, holder: "b" });
    await h.store.releaseLease({ name: "timers", holder: "a" }); // is another's
    expect(await acquire("a")).toMatchObject({ held: false });
    await h.store.releaseLease({ name: "timers", holder: "b" });
    expect(await acquire("a")).toEqual({ held: true, term: 3, holder: "a" });
    expect(await h.store.acquireLease({ name: "other", holder: "b", ttlMs: 1_000 })).toMatchObject({
      held: true,
      term: 1,
    });
  });

  it("places a task that was refused again, under the next attempt", async () => {
    await using h = await Harness.open(make);
    const id = await h.submit();
    await h.place(id);
    await h.refused(id);
    expect(await h.place(id, 1)).toBe("STALE_ATTEMPT");
    expect(await h.place(id, 2, "h2")).toBe("");
    expect(await h.report(id, 2, RunPhase.RUNNING, {}, "h2")).toBe("REPORT_ANSWER_COMMITTED");
    expect(await h.get(id)).toMatchObject({
      state: TaskState.RUNNING,
      attempt: 2,
      hostId: "h2",
      attempts: [{ attempt: 1, hostId: "h1", reason: { code: "OVER_CAPACITY" } }],
    });
  });
}
