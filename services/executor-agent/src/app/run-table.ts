import type { Resources } from "@berth/core";
import type { Logger } from "../ports/logger.ts";
import { deadlineOf } from "../domain/steps.ts";
import { isLive, takesPlace } from "../domain/held-run.ts";
import type { HeldRun } from "../domain/held-run.ts";
import type { Journal } from "../ports/journal.ts";

/** When a change must be on disk. */
export type Urgency =
  /** Before the agent acts on it. */
  | "now"
  /** Within a fraction of a second, in the next transaction. An agent that loses it only repeats an answered report or a `started`. */
  | "soon"
  /** Never: the next agent process finds it out again. */
  | "memory";

const soonMs = 250;
const retryMs = 500;
/** Least time between two transactions while the host has many runs: one transaction costs the same for twenty runs as for one. */
const paceMs = 12;
const manyRuns = 12;

/** One transaction: the runs it wrote, and the callers that wait until it is on disk. */
interface Batch {
  readonly unsaved: ReadonlySet<string>;
  readonly toAct: ReadonlySet<string>;
  readonly waiters: Waiter[];
  readonly afterwards: readonly (() => void)[];
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The runs of this host, in memory and in the journal. It keeps the rule that all else relies on: the agent acts on a changed run only after the change is on
 * disk.
 */
export class RunTable {
  readonly #runs = new Map<string, HeldRun>();
  #unsaved = new Set<string>();
  readonly #settled = new Set<string>();
  readonly #droppedSpecs = new Set<number>();
  #toAct = new Set<string>();
  readonly #journal: Journal;
  readonly #logger: Logger;
  readonly #act: (keys: readonly string[]) => void;
  #specs: { readonly id: number; readonly bytes: Uint8Array }[] = [];
  readonly #terms = new Map<string, number>();
  #afterwards: (() => void)[] = [];
  #closed = false;
  #waiters: Waiter[] = [];
  /** The transaction that is being flushed. */
  #flushing: Batch | undefined;
  #used: Resources = { cpuMilli: 0, memoryBytes: 0 };
  /** How many live runs were found without their spec. */
  #unmeasured = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = 0;
  #writtenAtMs = -Infinity;
  /** The earliest deadline of all runs, on the elapsed clock. */
  earliestMs = Infinity;

  constructor(journal: Journal, logger: Logger, act: (keys: readonly string[]) => void) {
    this.#journal = journal;
    this.#logger = logger;
    this.#act = act;
  }

  get(key: string): HeldRun | undefined {
    return this.#runs.get(key);
  }

  values(): Iterable<HeldRun> {
    return this.#runs.values();
  }

  get liveCount(): number {
    let live = 0;
    for (const held of this.#runs.values()) if (isLive(held)) live += 1;
    return live;
  }

  /** Sum of the resources of all runs that take a place, unknown runs included. */
  used(): Resources {
    return this.#used;
  }

  /** Whether `used` is complete. It is not while a run's spec is still to come from the server, which sends none for an unknown run. */
  get knowsUse(): boolean {
    return this.#unmeasured === 0;
  }

  /** Whether this host has the run, or had it within the last hour. */
  isHeld(key: string): boolean {
    return this.#runs.has(key) || this.#settled.has(key) || this.#journal.remembers(key);
  }

  /** Adds runs that are in the journal already. */
  load(runs: readonly HeldRun[]): void {
    for (const held of runs) this.#put(held);
  }

  /** Replaces a run. With `now`, the agent acts on it once it is on disk. */
  change(held: HeldRun, urgency: Urgency): void {
    this.#put(held);
    if (urgency === "memory") return;
    this.#unsaved.add(held.key);
    if (urgency === "now") this.#toAct.add(held.key);
    this.#commitIn(urgency === "now" ? 0 : soonMs);
  }

  /** Adds runs, and in the same transaction their new specs and the new term. */
  add(
    runs: readonly HeldRun[],
    specs: readonly { readonly id: number; readonly bytes: Uint8Array }[],
    term?: { readonly epoch: string; readonly term: number },
  ): void {
    this.#specs.push(...specs);
    if (term) this.#terms.set(term.epoch, term.term);
    for (const held of runs) this.change(held, "now");
    this.commit();
  }

  /** Resolves once all changes until now are on disk. Rejects if the write fails; the table then retries it. */
  saved(): Promise<void> {
    if (!this.#hasChanges && !this.#flushing) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const flushing = this.#hasChanges ? undefined : this.#flushing;
      (flushing?.waiters ?? this.#waiters).push({ resolve, reject });
      this.commit();
    });
  }

  /** Removes a run whose end the server has stored; keeps only its key. */
  settle(held: HeldRun, droppedSpec: number | undefined): void {
    if (takesPlace(held)) this.#count(held, -1);
    this.#runs.delete(held.key);
    this.#unsaved.delete(held.key);
    this.#settled.add(held.key);
    if (droppedSpec !== undefined) this.#droppedSpecs.add(droppedSpec);
    this.#commitIn(soonMs);
  }

  /**
   * Writes all changes in one transaction, flushes it, and then has the agent act on them. Changes during the flush go into the next transaction. A failed write is
   * retried.
   */
  commit(): void {
    if (this.#flushing) return; // the end of the flush commits what is due
    const waitMs = this.#runs.size < manyRuns ? 0 : this.#writtenAtMs + paceMs - performance.now();
    if (waitMs > 0.5) return this.#commitIn(waitMs);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#hasChanges && this.#waiters.length + this.#afterwards.length + this.#toAct.size === 0) return;
    const batch: Batch = {
      unsaved: this.#unsaved,
      toAct: this.#toAct,
      waiters: this.#waiters,
      afterwards: this.#afterwards,
    };
    try {
      if (this.#hasChanges) this.#write();
      this.#writtenAtMs = performance.now();
    } catch (error) {
      return this.#failed(batch, error);
    }
    this.#unsaved = new Set();
    this.#toAct = new Set();
    this.#waiters = [];
    this.#afterwards = [];
    this.#flushing = batch;
    this.#journal.flush((error) => this.#flushed(batch, error));
  }

  #flushed(batch: Batch, error: unknown): void {
    this.#flushing = undefined;
    if (error !== undefined) {
      this.#unsaved = new Set([...batch.unsaved, ...this.#unsaved]);
      this.#toAct = new Set([...batch.toAct, ...this.#toAct]);
      this.#afterwards.unshift(...batch.afterwards);
      return this.#failed(batch, error);
    }
    for (const { resolve } of batch.waiters) resolve();
    for (const fn of batch.afterwards) fn();
    if (this.#closed) return;
    if (batch.toAct.size > 0) this.#act([...batch.toAct]);
    if (this.#toAct.size > 0 || this.#waiters.length > 0) this.commit();
    // The timer of a `soon` change may have fired during the flush, when `commit` does nothing.
    else if (this.#hasChanges || this.#afterwards.length > 0) this.#commitIn(soonMs);
  }

  #failed({ waiters }: Batch, error: unknown): void {
    this.#logger.error("the journal cannot be written; nothing new is done until it can", { error });
    this.#waiters = this.#waiters.filter((waiter) => !waiters.includes(waiter));
    for (const { reject } of waiters) reject(error);
    this.#commitIn(retryMs);
  }

  get #hasChanges(): boolean {
    return this.#unsaved.size + this.#settled.size + this.#specs.length + this.#terms.size > 0;
  }

  #write(): void {
    this.#journal.write({
      runs: [...this.#unsaved].flatMap((key) => this.#runs.get(key) ?? []),
      settled: [...this.#settled],
      specs: this.#specs,
      droppedSpecs: [...this.#droppedSpecs],
      terms: this.#terms,
    });
    this.#settled.clear();
    this.#specs = [];
    this.#droppedSpecs.clear();
    this.#terms.clear();
  }

  /** Calls `fn` once all changes until now are on disk. */
  afterCommit(fn: () => void): void {
    this.#afterwards.push(fn);
    this.#commitIn(soonMs);
  }

  /** Acts on runs whose state need not be written first. Skips runs with a change that is not on disk yet: the end of its flush acts on them. */
  actNow(keys: readonly string[]): void {
    const free = keys.filter((key) => !this.#toAct.has(key) && !this.#flushing?.toAct.has(key));
    if (free.length > 0) this.#act(free);
  }

  /** Writes the last changes and stops acting. */
  close(): void {
    this.#closed = true;
    this.#toAct.clear();
    clearTimeout(this.#timer);
    if (this.#hasChanges) this.#write();
  }

  /** Commits within this time; an earlier timer stays. */
  #commitIn(ms: number): void {
    if (this.#closed) return;
    const at = performance.now() + ms;
    if (this.#timer && this.#timerAtMs <= at) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = at;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.commit();
    }, ms);
  }

  #put(held: HeldRun): void {
    const before = this.#runs.get(held.key);
    if (before && takesPlace(before)) this.#count(before, -1);
    if (takesPlace(held)) this.#count(held, 1);
    this.#runs.set(held.key, held);
    this.earliestMs = Math.min(this.earliestMs, deadlineOf(held) ?? Infinity);
  }

  #count({ needs: { resources }, specId, known }: HeldRun, sign: 1 | -1): void {
    if (specId === undefined && known) this.#unmeasured += sign;
    this.#used = {
      cpuMilli: this.#used.cpuMilli + sign * resources.cpuMilli,
      memoryBytes: this.#used.memoryBytes + sign * resources.memoryBytes,
    };
  }
}
