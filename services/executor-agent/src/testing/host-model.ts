import type { Run } from "@berth/core";
import { expect } from "vitest";
import { admit, tooLong } from "../domain/admission.ts";
import { isLive, takesPlace } from "../domain/held-run.ts";
import type { HeldRun } from "../domain/held-run.ts";
import { leaseEnd, neverMs, onLease, renewed } from "../domain/lease.ts";
import {
  neverStarted,
  onAbsent,
  onRunEvent,
  onPaused,
  onReboot,
  onSignalled,
  onTimeLimit,
  onVerdict,
} from "../domain/transitions.ts";
import type { RunEvent, Verdict } from "../domain/transitions.ts";
import { nextSteps } from "../domain/steps.ts";
import type { Now } from "../domain/steps.ts";
import { WaitingRuns } from "../domain/waiting-runs.ts";
import { keyOf, needs } from "./held-runs.ts";

const capacity = { cpuMilli: 3000, memoryBytes: 3000 };
/** The journal that the model has. */
export const journalId = "journal-1";

/** The model's engine: what it has of a run. It remembers each start, as every driver must. */
interface Box {
  state: "running" | "suspended" | "over";
  readonly startedAtMs: number;
  news: RunEvent | undefined;
}

/** A host where everything may fail: the agent's rules, with clock, engine and control plane driven by the test. */
export class HostModel {
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

  /** Starts the waiting runs that fit. */
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
        // None has its grace where its task may run elsewhere, unless somebody asked for its end.
        const mayRunElsewhere =
          (held.frozen && held.stop?.stage === "wanted") || (leaseEnd(held) ?? Infinity) <= this.nowMs;
        if (name === "kill" && !(mayRunElsewhere && held.stop?.cause !== "killed"))
          expect(this.nowMs - (this.termAt.get(held.key) ?? Infinity)).toBeGreaterThanOrEqual(needs.graceMs);
        if (name === "term") this.termAt.set(held.key, this.nowMs);
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

  /** Delivers the engine's pending events. */
  deliver(): void {
    for (const [key, box] of this.boxes) {
      const held = this.held.get(key);
      if (box.news && held) this.put(onRunEvent(held, box.news, this.now));
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

  word(run: Run, word: Verdict, askedAgoMs = 0): void {
    const key = keyOf(run);
    if (word.kind === "stop") this.stopped.add(key);
    const held = this.held.get(key);
    const isWanted = word.kind !== "stop" && word.kind !== "unknown";
    if (isWanted) this.heardMs = this.nowMs - askedAgoMs;
    const said = held && onVerdict(held, word, this.now.at);
    if (said) this.put(isWanted ? renewed(said, this.heardMs, this.now) : said);
    else if (word.kind === "stop" && !this.settled.has(key)) this.put(neverStarted(key, run, this.now.at));
    this.settleDown([key].filter((k) => this.held.has(k)));
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const held of this.held.values()) this.put(onLease(onTimeLimit(held, this.now), this.now));
    for (const key of this.waiting.takeLate(this.nowMs)) {
      const held = this.held.get(key);
      if (held?.phase.kind === "accepted")
        this.put({ ...held, phase: { kind: "refused", reason: tooLong("waited"), refusedAt: this.now.at } });
    }
    this.settleDown();
  }

  /** SIGKILL of the agent: its memory is lost, journal and engine stay. */
  restart(): void {
    this.waiting = new WaitingRuns();
    for (const held of this.held.values()) {
      let next: HeldRun = held.phase.kind === "starting" ? { ...held, phase: { kind: "accepted" } } : held;
      const box = this.boxes.get(held.key);
      if (!isLive(next)) continue;
      if (box)
        next = onRunEvent(
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
    for (const held of this.held.values()) {
      const rebooted = onReboot(held, this.now);
      this.put(isLive(rebooted) ? onAbsent(rebooted, this.now) : rebooted);
    }
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
