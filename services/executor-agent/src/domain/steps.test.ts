import type { Run } from "@berth/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { admit, tooLong } from "./admission.ts";
import { isLive, takesPlace } from "./held-run.ts";
import type { HeldRun } from "./held-run.ts";
import { askEveryMs, leaseEnd, neverMs, onLease, renewed } from "./lease.ts";
import {
  adopted,
  neverStarted,
  onAbsent,
  onAnswer,
  onDriverNews,
  onPaused,
  onReboot,
  onSignalled,
  onTime,
  onWord,
} from "./news.ts";
import type { DriverNews, Word } from "./news.ts";
import { deadlineOf, nextSteps } from "./steps.ts";
import type { Now } from "./steps.ts";
import { WaitingRuns } from "./waiting-runs.ts";

const capacity = { cpuMilli: 3000, memoryBytes: 3000 };
const needs = { resources: { cpuMilli: 1000, memoryBytes: 1000 }, timeLimitMs: 5_000, graceMs: 1_000, leaseMs: 4_000 };
const journalId = "journal-1";
const runs: readonly Run[] = [1, 2, 3, 4, 5].map((n) => ({ epoch: "e", taskId: String(n), attempt: 1 }));
const keyOf = (run: Run): string => `e/${run.taskId}/1`;

/** What the engine of the model has of a run. It remembers each start, as every driver must. */
interface Box {
  state: "running" | "suspended" | "over";
  readonly startedAtMs: number;
  news: DriverNews | undefined;
}

/** A host in which everything goes wrong that may: the rules of `agent.ts`, with the clock, the engine and the control plane in the test's hand. */
class World {
  held = new Map<string, HeldRun>();
  readonly settled = new Set<string>();
  readonly boxes = new Map<string, Box>();
  readonly starts = new Map<string, number>();
  readonly stopped = new Set<string>();
  readonly ends = new Map<string, string>();
  readonly reported = new Set<string>();
  readonly termAt = new Map<string, number>();
  waiting = new WaitingRuns();
  nowMs = 1_000_000;
  term = 5;
  heardMs = neverMs;

  get now(): Now {
    return { at: new Date(this.nowMs), elapsedMs: this.nowMs };
  }

  put(next: HeldRun): void {
    const before = this.held.get(next.key);
    if (before && !isLive(before)) expect(next.phase).toBe(before.phase); // an end stands
    this.held.set(next.key, next);
    if (!isLive(next))
      this.ends.set(next.key, next.phase.kind === "refused" ? `refused ${next.phase.reason.code}` : "ended");
  }

  /** Hands to the engine what waits and fits. */
  startReady(): void {
    const live = [...this.held.values()].filter(takesPlace).length;
    const used = { cpuMilli: live * 1000, memoryBytes: live * 1000 };
    for (const key of this.waiting.takeReady((k) => this.held.get(k), used, capacity)) {
      const held = this.held.get(key)!;
      this.put({ ...held, phase: { kind: "starting", detail: "" } });
      if (this.boxes.has(key)) continue;
      this.starts.set(key, (this.starts.get(key) ?? 0) + 1);
      this.boxes.set(key, {
        state: "running",
        startedAtMs: this.nowMs,
        news: { kind: "started", at: new Date(this.nowMs) },
      });
    }
  }

  /** Runs steps until there are none. */
  settleDown(keys: Iterable<string> = this.held.keys()): void {
    for (const key of keys) {
      for (let rounds = 0; ; rounds += 1) {
        expect(rounds).toBeLessThan(10);
        const held = this.held.get(key);
        const steps = held ? nextSteps(held, this.now, { suspend: true }) : [];
        if (!held || !steps.some((step) => this.runStep(held, step.name))) break;
      }
    }
  }

  /** True where the run changed. */
  runStep(held: HeldRun, name: string): boolean {
    const box = this.boxes.get(held.key);
    switch (name) {
      case "start":
        this.waiting.add(held.key, this.nowMs);
        this.startReady();
        return this.held.get(held.key) !== held;
      case "term":
      case "kill": {
        const limit =
          held.phase.kind === "running" || held.phase.kind === "suspended"
            ? held.phase.startedElapsedMs + needs.timeLimitMs
            : Infinity;
        expect(this.stopped.has(held.key) || this.nowMs >= limit, "only a stop or the time limit ends a run").toBe(
          true,
        );
        if (name === "kill" && held.frozen && held.stop?.stage === "wanted") expect(held.stop.cause).not.toBe("killed");
        else if (name === "kill")
          expect(this.nowMs - (this.termAt.get(held.key) ?? Infinity)).toBeGreaterThanOrEqual(needs.graceMs);
        else this.termAt.set(held.key, this.nowMs);
        this.put(onSignalled(held, name, this.now));
        if (name === "kill" && box && box.state !== "over") this.endBox(box, 9);
        return true;
      }
      case "suspend":
      case "resume":
        if (box && box.state !== "over") box.state = name === "suspend" ? "suspended" : "running";
        this.put(onPaused(held, name === "suspend"));
        return true;
      case "report":
        this.reported.add(held.key);
        return false;
      case "settle":
        expect(["committed", "superseded"]).toContain(held.answer);
        this.held.delete(held.key);
        this.settled.add(held.key);
        this.boxes.delete(held.key);
        return true;
      default:
        throw new Error(`unknown step ${name}`);
    }
  }

  endBox(box: Box, signal?: number): void {
    box.state = "over";
    box.news = {
      kind: "ended",
      exit: {
        startedAt: new Date(box.startedAtMs),
        endedAt: this.now.at,
        exitCode: signal ? undefined : 0,
        signal,
        outOfMemory: false,
        cpuMs: 1,
        peakMemoryBytes: 1,
        stdoutBytes: 0,
        stderrBytes: 0,
      },
    };
  }

  /** The engine tells what it has to tell. */
  deliver(): void {
    for (const [key, box] of this.boxes) {
      const held = this.held.get(key);
      if (box.news && held) this.put(onDriverNews(held, box.news, this.now));
      box.news = box.state === "over" ? box.news : undefined;
    }
    this.startReady();
    this.settleDown();
  }

  assign(run: Run, term: number, journal: string): void {
    const host = {
      journalId,
      termOf: () => this.term,
      capacity,
      canSuspend: true,
      heardElapsedMs: this.heardMs,
      waiting: this.waiting.size,
      isHeld: (key: string) => this.held.has(key) || this.settled.has(key),
    };
    const [fresh] = admit([{ run, specId: 1, needs, journalId: journal }], term, host, this.now.at);
    if (!fresh) return;
    const taken = onLease(fresh, this.now);
    if (term < this.term || journal !== journalId) expect(taken.phase.kind).toBe("refused");
    else expect(taken.phase.kind).toBe("accepted");
    this.put(taken);
    this.term = Math.max(this.term, term);
    this.settleDown([taken.key]);
    if (taken.phase.kind === "refused") expect(this.reported.has(taken.key)).toBe(true);
  }

  word(run: Run, word: Word, askedAgoMs = 0): void {
    const key = keyOf(run);
    if (word.kind === "stop") this.stopped.add(key);
    const held = this.held.get(key);
    const isWanted = word.kind !== "stop" && word.kind !== "unknown";
    if (isWanted) this.heardMs = this.nowMs - askedAgoMs;
    const said = held && onWord(held, word, this.now.at);
    if (said) this.put(isWanted ? renewed(said, this.heardMs, this.now) : said);
    else if (word.kind === "stop" && !this.settled.has(key)) this.put(neverStarted(key, run, this.now.at));
    this.settleDown([key].filter((k) => this.held.has(k)));
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const held of this.held.values()) this.put(onLease(onTime(held, this.now), this.now));
    for (const key of this.waiting.takeLate(this.nowMs)) {
      const held = this.held.get(key);
      if (held?.phase.kind === "accepted")
        this.put({ ...held, phase: { kind: "refused", reason: tooLong("waited"), refusedAt: this.now.at } });
    }
    this.settleDown();
  }

  /** Kill -9 of the agent: memory is gone, journal and engine are not. */
  restart(): void {
    this.waiting = new WaitingRuns();
    for (const held of this.held.values()) {
      let next: HeldRun = held.phase.kind === "starting" ? { ...held, phase: { kind: "accepted" } } : held;
      const box = this.boxes.get(held.key);
      if (!isLive(next)) continue;
      if (box)
        next = onDriverNews(
          next,
          { kind: "found", startedAt: new Date(box.startedAtMs), suspended: box.state === "suspended" },
          this.now,
        );
      else next = onAbsent(next, this.now);
      this.put(onLease(next, this.now));
    }
    this.settleDown();
  }

  reboot(): void {
    this.boxes.clear();
    for (const held of this.held.values()) this.put(onReboot(held, this.now));
    this.settleDown();
  }

  checkInvariants(): void {
    const there = [...this.boxes].filter(([key, box]) => box.state !== "over" && !this.stopped.has(key));
    expect(there.length, "no more run than fit").toBeLessThanOrEqual(3);
    for (const [key, times] of this.starts) expect(times, `${key} started once`).toBe(1);
    for (const key of this.settled) expect(this.held.has(key)).toBe(false);
    for (const [key, end] of this.ends)
      if (
        end === "refused STALE_TERM" ||
        end === "refused OTHER_JOURNAL" ||
        end === "refused OVER_CAPACITY" ||
        end === "refused NEVER_STARTED"
      )
        expect(this.starts.has(key)).toBe(false);
    for (const held of this.held.values()) {
      if (!isLive(held)) expect(this.reported.has(held.key), "each end is reported").toBe(true);
      const box = this.boxes.get(held.key);
      if (box?.state === "running" && !held.stop && (leaseEnd(held) ?? Infinity) <= this.nowMs)
        expect(held.phase.kind, "what is overdue stands still").toBe("starting"); // it is told as started in a moment
      if (held.stop) expect(this.stopped.has(held.key) || held.stop.cause === "timed_out").toBe(true);
    }
  }
}

type Op = (world: World) => void;
const aRun = fc.constantFrom(...runs);
const ops: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({ run: aRun, term: fc.constantFrom(4, 5, 5, 6), journal: fc.constantFrom(journalId, journalId, "other") })
      .map(
        ({ run, term, journal }): Op =>
          (w) =>
            w.assign(run, term, journal),
      ),
  },
  {
    weight: 3,
    arbitrary: aRun.map(
      (run): Op =>
        (w) =>
          w.assign(run, 6, journalId),
    ),
  },
  {
    weight: 4,
    arbitrary: fc
      .record({
        run: aRun,
        word: fc.constantFrom<Word>(
          { kind: "run" },
          { kind: "unknown" },
          { kind: "suspend" },
          { kind: "resume" },
          { kind: "stop", cause: "killed", by: "ann" },
          { kind: "stop", cause: "superseded", by: "" },
          { kind: "stop", cause: "over", by: "" },
        ),
        askedAgoMs: fc.constantFrom(0, 0, 0, 3_000, 5_000),
      })
      .map(
        ({ run, word, askedAgoMs }): Op =>
          (w) =>
            w.word(run, word, askedAgoMs),
      ),
  },
  { weight: 4, arbitrary: fc.constant<Op>((w) => w.deliver()) },
  {
    weight: 3,
    arbitrary: aRun.map((run): Op => (w) => {
      const box = w.boxes.get(keyOf(run));
      if (box && box.state === "running") w.endBox(box);
    }),
  },
  {
    weight: 3,
    arbitrary: fc.integer({ min: 1, max: 3_000 }).map(
      (ms): Op =>
        (w) =>
          w.pass(ms),
    ),
  },
  { weight: 2, arbitrary: fc.constant<Op>((w) => w.restart()) },
  { weight: 1, arbitrary: fc.constant<Op>((w) => w.reboot()) },
  {
    weight: 3,
    arbitrary: fc
      .record({ run: aRun, answer: fc.constantFrom("committed" as const, "superseded" as const, "unknown" as const) })
      .map(({ run, answer }): Op => (w) => {
        const held = w.held.get(keyOf(run));
        if (!held) return;
        w.put(onAnswer(held, answer));
        w.settleDown([held.key]);
      }),
  },
);

describe("nextSteps", () => {
  it("keeps its invariants through 10,000 generated lives of a host", { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.array(ops, { maxLength: 40 }), (steps) => {
        const world = new World();
        for (const step of steps) {
          step(world);
          world.checkInvariants();
        }
        // Left alone, with every report answered, nothing that was told to stop stays.
        for (const run of runs) if (world.held.has(keyOf(run))) world.word(run, { kind: "run" });
        world.deliver();
        for (let n = 0; n < 8; n += 1) {
          world.pass(6_000);
          world.deliver();
        }
        for (const held of world.held.values()) {
          expect(isLive(held), `${held.key} ends`).toBe(false);
          world.put(onAnswer(held, "committed"));
        }
        world.settleDown();
        expect(world.held.size).toBe(0);
        world.checkInvariants();
      }),
      { numRuns: 10_000 },
    );
  });

  const now: Now = { at: new Date(1_000_000), elapsedMs: 1_000_000 };
  const running = (more: Partial<HeldRun> = {}): HeldRun => ({
    ...adopted("e/1/1", runs[0]!),
    needs,
    phase: { kind: "running", startedAt: now.at, startedElapsedMs: now.elapsedMs },
    ...more,
  });
  const names = (held: HeldRun, at = now, can = { suspend: true }): string[] =>
    nextSteps(held, at, can).map(({ name }) => name);
  const later = (ms: number): Now => ({ at: new Date(now.at.getTime() + ms), elapsedMs: now.elapsedMs + ms });

  it("leaves a run alone that nobody stopped, known or not", () => {
    expect(names(running())).toEqual([]);
    expect(names(running({ known: false }))).toEqual([]);
    expect(names(onWord(running(), { kind: "unknown" }, now.at))).toEqual([]);
    expect(names(onWord(running(), { kind: "run" }, now.at), later(86_400_000))).toEqual([]);
  });

  it("sends TERM, and KILL after the grace, again where it had no effect", () => {
    const stopped = onWord(running(), { kind: "stop", cause: "killed", by: "ann" }, now.at);
    expect(names(stopped)).toEqual(["term"]);
    const termed = onSignalled(stopped, "term", now);
    expect(names(termed, later(999))).toEqual([]);
    expect(deadlineOf(termed)).toBe(now.elapsedMs + 1_000);
    expect(names(termed, later(1_000))).toEqual(["kill"]);
    const killed = onSignalled(termed, "kill", later(1_000));
    expect(names(killed, later(2_000))).toEqual([]);
    expect(names(killed, later(6_000))).toEqual(["kill"]);
  });

  it("counts the time limit on the clock that cannot be set", () => {
    const set = { at: new Date(0), elapsedMs: now.elapsedMs + 4_999 };
    expect(onTime(running(), set).stop).toBeUndefined();
    expect(onTime(running(), { ...set, elapsedMs: now.elapsedMs + 5_000 }).stop).toMatchObject({ cause: "timed_out" });
    expect(onTime(running({ needs: { ...needs, timeLimitMs: 0 } }), later(1e9)).stop).toBeUndefined();
  });

  it("freezes a run at the end of its lease, and lets it go on with the next answer that comes in time", () => {
    const held = running({ renewedElapsedMs: now.elapsedMs });
    expect(deadlineOf(held)).toBe(now.elapsedMs + 4_000);
    expect(onLease(held, later(3_999))).toBe(held);
    const frozen = onLease(held, later(4_000));
    expect(names(frozen)).toEqual(["suspend"]);
    expect(deadlineOf(frozen)).toBe(now.elapsedMs + 5_000); // the time limit counts on
    const still = onPaused(frozen, true);
    expect(names(still)).toEqual([]);
    // An answer to a question of before counts from the question: too late.
    expect(renewed(still, now.elapsedMs + 500, later(4_600))).toMatchObject({ frozen: true });
    const thawed = renewed(still, now.elapsedMs + 4_500, later(4_600));
    expect(names(thawed)).toEqual(["resume"]);
    expect(deadlineOf(thawed)).toBe(now.elapsedMs + 5_000);
    // A user's suspend is another thing: it stays.
    const suspended = onPaused(onWord(held, { kind: "suspend" }, now.at), true);
    const both = onLease(suspended, later(4_000));
    expect(names(renewed(both, now.elapsedMs + 4_500, later(4_600)))).toEqual([]);
  });

  it("freezes nothing without a lease, of an unknown database, or that is told to stop", () => {
    const old = { renewedElapsedMs: neverMs };
    expect(onLease(running({ ...old, needs: { ...needs, leaseMs: 0 } }), now).frozen).toBe(false);
    expect(onLease(running({ ...old, known: false }), now).frozen).toBe(false);
    const stopped = onWord(running(old), { kind: "stop", cause: "killed", by: "ann" }, now.at);
    expect(onLease(stopped, now).frozen).toBe(false);
  });

  it("ends a frozen run at once where it may run elsewhere, and with its grace where somebody asked for its end", () => {
    const frozen = onLease(running({ renewedElapsedMs: neverMs }), now);
    expect(names(onWord(frozen, { kind: "stop", cause: "superseded", by: "" }, now.at))).toEqual(["kill"]);
    expect(names(onWord(frozen, { kind: "stop", cause: "killed", by: "ann" }, now.at))).toEqual(["term"]);
  });

  it("does not start a run whose lease passed on the way, until it is asked about", () => {
    const accepted = onLease(running({ phase: { kind: "accepted" }, renewedElapsedMs: neverMs }), now);
    expect(names(accepted)).toEqual([]);
    expect(names(renewed(accepted, now.elapsedMs, now))).toEqual(["start"]);
  });

  it("asks three times within the shortest lease", () => {
    expect(askEveryMs([])).toBe(Infinity);
    expect(askEveryMs([running(), running({ needs: { ...needs, leaseMs: 900 } })])).toBe(300);
    expect(askEveryMs([running({ known: false })])).toBe(Infinity);
  });

  it("suspends only where the driver can", () => {
    const wished = onWord(running(), { kind: "suspend" }, now.at);
    expect(names(wished)).toEqual(["suspend"]);
    expect(names(wished, now, { suspend: false })).toEqual([]);
    expect(names(onWord(onPaused(wished, true), { kind: "resume" }, now.at))).toEqual(["resume"]);
  });

  it("measures a run by the clock that nobody sets, and ends none before its start", () => {
    const ended = (wallMs: number, elapsedMs: number, startedAt?: Date) => {
      const at = new Date(now.at.getTime() + wallMs);
      const exit = {
        startedAt,
        endedAt: at,
        exitCode: 0,
        signal: undefined,
        outOfMemory: false,
        cpuMs: 1,
        peakMemoryBytes: 1,
        stdoutBytes: 0,
        stderrBytes: 0,
      };
      const then = { at, elapsedMs: now.elapsedMs + elapsedMs };
      const { phase } = onDriverNews(running(), { kind: "ended", exit }, then);
      return phase.kind === "ended" ? [phase.end.wallMs, phase.end.endedAt.getTime() - now.at.getTime()] : [];
    };
    expect(ended(2_000, 2_000)).toEqual([2_000, 2_000]);
    expect(ended(3_602_000, 2_000)).toEqual([2_000, 3_602_000]); // set forward by an hour
    expect(ended(-3_598_000, 2_000)).toEqual([2_000, 2_000]); // and back
    expect(ended(2_000, 2_000, new Date(now.at.getTime() + 1_500))).toEqual([2_000, 2_000]);
    // Told together with its start, and late: the times are the driver's.
    const late = { at: new Date(now.at.getTime() + 60_000), elapsedMs: now.elapsedMs + 60_000 };
    const { phase } = onDriverNews(
      running(),
      { kind: "lost", at: new Date(now.at.getTime() + 700), startedAt: undefined, reason: { code: "X", message: "" } },
      late,
    );
    expect(phase).toMatchObject({ end: { wallMs: 700 } });
  });

  it("gives no grace to a run that was superseded and whose lease it was never told", () => {
    const now: Now = { at: new Date(1_000_000), elapsedMs: 1_000_000 };
    const running = onDriverNews(adopted("k", runs[0]!), { kind: "started", at: now.at }, now);
    const steps = (cause: "killed" | "superseded") =>
      nextSteps(onWord(running, { kind: "stop", cause, by: "" }, now.at), now, { suspend: true });
    expect(steps("superseded")).toEqual([{ name: "kill", key: "k" }]);
    expect(steps("killed")).toEqual([{ name: "term", key: "k" }]);
  });

  it("says what an end means", () => {
    const exit = {
      startedAt: undefined,
      endedAt: now.at,
      exitCode: 0,
      signal: undefined,
      outOfMemory: false,
      cpuMs: undefined,
      peakMemoryBytes: undefined,
      stdoutBytes: 0,
      stderrBytes: 0,
    };
    const end = (held: HeldRun, more: object = {}) => {
      const { phase } = onDriverNews(held, { kind: "ended", exit: { ...exit, ...more } }, now);
      return phase.kind === "ended" ? [phase.end.outcome, phase.end.reason.code, phase.end.startedAt] : [];
    };
    const stop = (cause: "killed" | "superseded" | "timed_out", stage: "wanted" | "term" = "term") =>
      running({ stop: { cause, by: "ann", stage, sentElapsedMs: 0 } });
    expect(end(running())).toEqual(["succeeded", "EXIT_CODE", now.at]);
    expect(end(running(), { exitCode: 3 })).toEqual(["failed", "EXIT_CODE", now.at]);
    expect(end(running(), { exitCode: undefined, signal: 11 })).toEqual(["failed", "SIGNAL", now.at]);
    expect(end(running(), { exitCode: undefined, signal: 9, outOfMemory: true })).toEqual([
      "out_of_memory",
      "OUT_OF_MEMORY",
      now.at,
    ]);
    expect(end(stop("killed"))).toEqual(["killed", "KILLED_BY_USER", now.at]);
    expect(end(stop("timed_out"), { exitCode: 143 })).toEqual(["timed_out", "TIME_LIMIT", now.at]);
    // It ended by itself before anything was sent; and what was superseded has no outcome of ours.
    expect(end(stop("killed", "wanted"))).toEqual(["succeeded", "EXIT_CODE", now.at]);
    expect(end(stop("superseded"), { exitCode: undefined, signal: 15 })).toEqual(["failed", "SIGNAL", now.at]);
  });
});
