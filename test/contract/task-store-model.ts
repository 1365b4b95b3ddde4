import { ReportAnswer, RunPhase } from "@berth/contracts/agent";
import { ListTasksRequest } from "@berth/contracts/store";
import type { TaskRow } from "@berth/contracts/store";
import { outcomeToWire, requestToWire, stateToWire } from "@berth/contracts";
import { OnHostLost, Outcome, TaskState } from "@berth/contracts/types";
import { isLive, isTerminal, killedReason, move } from "@berth/core";
import type { Move, TaskEvent, TaskLife } from "@berth/core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { elements, Model } from "./task-life-model.ts";
import { step } from "./task-life-steps.ts";
import type { Step } from "./task-life-steps.ts";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

const leaseMs = 10_000;

const phases = {
  started: RunPhase.RUNNING,
  resumed: RunPhase.RUNNING,
  suspended: RunPhase.SUSPENDED,
  ended: RunPhase.ENDED,
  refused: RunPhase.REFUSED,
} as const;
const failed = { code: "NO_HOST_LARGE_ENOUGH", message: "too large" };

export function modelTests(make: MakeDatabase, usualRuns: number): void {
  const runs = Number(process.env["BERTH_MODEL_RUNS"] ?? usualRuns);

  it(
    "moves tasks and elements as the state machine does, and the feed tells all of it",
    { timeout: 300_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
          await using h = await Harness.open(make, { foldAfterMs: 0 });
          const token = await h.token();
          const again = { onHostLost: OnHostLost.RETRY, hostLeaseMs: leaseMs };
          const first = [await h.submit(), await h.submit(again)];
          const array = await h.submit({ array: { first: 1, last: elements, step: 1, maxLive: 0 }, ...again });
          const model = new Model([...first, ...Array.from({ length: elements }, (_, i) => `${array}.${i + 1}`)]);
          for (const each of steps) {
            await take(h, model, array, each);
            await agree(h, model, array);
          }
          await feedAgrees(h, model, token);
        }),
        { numRuns: runs },
      );
    },
  );

  async function take(h: Harness, model: Model, array: string, each: Step): Promise<void> {
    if (each.kind === "reopen") return h.reopen();
    if (each.kind === "killArray") {
      await h.kill(array);
      return model.killArray();
    }
    if (each.kind === "fold") return fold(h);
    if (each.kind === "lose") {
      h.nowMs += leaseMs + 1;
      const lost = model.on(each.host).filter((at) => each.by !== "" || model.isRetried(at));
      const told = await h.store.loseRuns({ hostId: each.host, by: each.by, listenedMs: leaseMs + 1, marginMs: 0 });
      for (const at of lost) model.lose(at);
      const goneBack = lost.filter((at) => model.lives[at]!.state.kind === "pending");
      return expect([told.retried.length, told.lost.length]).toEqual([goneBack.length, lost.length - goneBack.length]);
    }
    if (each.kind === "archive") {
      await fold(h);
      await h.store.archive(await h.store.expired(0, 100));
      return model.archive();
    }
    if (each.kind === "limit") {
      const told = h.store.updateTask({ taskId: array, user: "ada", admin: false, maxLive: each.maxLive });
      if (model.arrayOver) return expect(told).rejects.toMatchObject({ reason: "NOT_LIVE" });
      model.maxLive = each.maxLive;
      return expect(told).resolves.toMatchObject({ id: array });
    }
    const at = each.task;
    const id = model.ids[at]!;
    const { attempt } = model.lives[at]!.state;
    switch (each.kind) {
      case "place": {
        const wanted = attempt + 1 + each.off;
        const refusal = await h.place(id, wanted, each.host);
        // An element without a record is claimed in its turn, or not at all.
        const outOfTurn =
          model.isElement(at) && attempt === 0 && model.lives[at]!.state.kind === "pending" && at !== model.cursor();
        if (outOfTurn) return expect(refusal).toBe("STALE_ATTEMPT");
        const event: TaskEvent = { kind: "place", attempt: wanted, hostId: each.host };
        if (model.atLimit(at) && move(model.effective(at), event).kind === "moved")
          return expect(refusal).toBe("ARRAY_LIMIT");
        const answer = model.apply(at, event);
        if (answer.kind === "moved") model.hosts[at]!.set(wanted, each.host);
        return expect(refusal).toBe(answer.kind === "refused" ? answer.why : "");
      }
      case "end": {
        if (model.isElement(at) && attempt === 0) return; // an element that was not begun ends only with its array
        const refusal = await h.end({ taskId: id, outcome: Outcome.REJECTED, reason: failed });
        const answer = model.apply(at, { kind: "end", outcome: "rejected", reason: failed });
        return expect(refusal).toBe(answer.kind === "refused" ? answer.why : "");
      }
      case "request": {
        const result = await h.ask(id, requestToWire(each.request));
        const answer = model.apply(at, { kind: "request", request: each.request });
        return expect(result.failure?.reason).toBe(answer.kind === "refused" ? answer.why : undefined);
      }
      case "report": {
        const wanted = attempt + each.off;
        if (wanted < 1) return;
        // Running is one word for two events: which one it is, the state says.
        const phase =
          each.phase === "started" || each.phase === "resumed"
            ? model.lives[at]!.state.kind === "suspended"
              ? "resumed"
              : "started"
            : each.phase;
        const reason = { code: "TOLD", message: "told" };
        const event: TaskEvent =
          phase === "ended"
            ? { kind: phase, attempt: wanted, outcome: each.outcome, reason }
            : { kind: phase, attempt: wanted };
        const told = await h.report(
          id,
          wanted,
          phases[phase],
          phase === "ended" ? { outcome: outcomeToWire(each.outcome), reason } : { reason },
          model.hosts[at]!.get(wanted),
        );
        const { state } = model.lives[at]!;
        if (
          phase === "ended" &&
          each.outcome === "lost" &&
          wanted === attempt &&
          isLive(state.kind) &&
          model.isRetried(at)
        )
          return expect(told).toBe(answerOf(model.lose(at)));
        const recorded = !model.isElement(at) || attempt > 0 || model.lives[at]!.state.kind !== "pending";
        return expect(told).toBe(recorded ? answerOf(model.apply(at, event)) : ReportAnswer.UNKNOWN);
      }
    }
  }

  /** Nothing that is read changes by it. */
  async function fold(h: Harness): Promise<void> {
    while ((await h.store.fold(1)).more) continue;
  }

  const answerOf = (answer: Move): ReportAnswer =>
    answer.kind === "superseded"
      ? ReportAnswer.SUPERSEDED
      : answer.kind === "refused"
        ? ReportAnswer.UNKNOWN
        : ReportAnswer.COMMITTED;

  async function agree(h: Harness, model: Model, array: string): Promise<void> {
    for (const [at, { state, request }] of model.lives.entries()) {
      const task = await h.get(model.ids[at]!);
      expect({
        id: task.id,
        state: task.state,
        attempt: task.attempt,
        outcome: task.outcome,
        request: task.request,
      }).toEqual({
        id: model.ids[at],
        state: stateToWire(state.kind),
        attempt: state.attempt,
        outcome: outcomeToWire("outcome" in state ? state.outcome : undefined),
        request: requestToWire(request),
      });
      if ("outcome" in state && state.outcome === "killed" && state.attempt === 0)
        expect(task.reason!.code).toBe(killedReason("").code);
      expect(new Set(task.attempts.map((earlier) => earlier.attempt)).size).toBe(task.attempts.length);
    }
    const own = model.elements();
    const { progress, state } = await h.get(array);
    const count = (wanted: (life: TaskLife) => boolean) => own.filter(wanted).length;
    const ended = Object.values(progress!.ended).reduce((sum, n) => sum + n, 0);
    expect({ ...progress, ended }).toEqual({
      total: elements,
      maxLive: model.maxLive,
      unclaimed: count((life) => life.state.kind === "pending" && life.state.attempt === 0),
      live: count((life) => isLive(life.state.kind)),
      waiting: count((life) => life.state.kind === "pending" && life.state.attempt > 0),
      ended: count((life) => isTerminal(life.state.kind)),
    });
    expect(state === TaskState.OVER || state === TaskState.ARCHIVED).toBe(model.arrayOver);
    expect(state === TaskState.ARCHIVED).toBe(own[0]!.state.kind === "archived");
    const listed = await h.store.list(ListTasksRequest.fromPartial({ arrayId: array }));
    expect(listed.tasks.map((task) => task.state)).toEqual(own.map((life) => stateToWire(life.state.kind)));
    await sumsAgree(h, model);
  }

  async function sumsAgree(h: Harness, model: Model): Promise<void> {
    const { byState } = await h.store.countTasks({ user: "ada" });
    for (const kind of ["pending", "placed", "running", "suspended", "over", "archived"] as const) {
      expect(byState[kind] ?? 0, kind).toBe(model.lives.filter((life) => life.state.kind === kind).length);
    }
    for (const host of (await h.store.listHosts()).hosts) {
      expect(host.liveTasks, host.id).toBe(
        model.lives.filter(({ state }) => "hostId" in state && state.hostId === host.id).length,
      );
    }
  }

  /** Whoever reads the feed from the beginning, or a snapshot now, knows what the records say. */
  async function feedAgrees(h: Harness, model: Model, token: string): Promise<void> {
    const known = new Map<string, TaskRow>();
    for (const row of (await h.changes(token)).tasks) {
      const before = known.get(row.id);
      if (before?.state === TaskState.OVER)
        expect([TaskState.OVER, TaskState.ARCHIVED], "what is over stays as it is").toContain(row.state);
      expect(row.attempt).toBeGreaterThanOrEqual(before?.attempt ?? 0);
      known.set(row.id, row);
    }
    const snapshot = new Map((await h.snapshot()).tasks.map((row) => [row.id, row]));
    for (const [at, { state, request }] of model.lives.entries()) {
      const row = known.get(model.ids[at]!);
      const silent = model.isElement(at) && row === undefined; // never had a record: its array's row tells
      if (silent) expect(state.attempt).toBe(0);
      else
        expect([row?.state, row?.attempt, row?.request]).toEqual([
          // Elements are archived by their array's row.
          stateToWire(model.isElement(at) && state.kind === "archived" ? "over" : state.kind),
          state.attempt,
          requestToWire(request),
        ]);
      const live = !isTerminal(state.kind) && !silent;
      expect(snapshot.has(model.ids[at]!)).toBe(live);
      if (live) expect(snapshot.get(model.ids[at]!)).toEqual(row);
    }
  }
}
