import type { Resources } from "@berth/core";
import type { Logger } from "../ports/logger.ts";
import { deadlineOf } from "../domain/steps.ts";
import { isLive, takesPlace } from "../domain/held-run.ts";
import type { HeldRun } from "../domain/held-run.ts";
import type { Journal } from "../ports/journal.ts";

/** How soon a change has to be on disk. */
export type Urgency =
  /** Before anything is done about it. */
  | "now"
  /** Within a fraction of a second, with whatever else is written: losing it only repeats an answered report, or a `started`. */
  | "soon"
  /** Never: it is of this life of the agent only. */
  | "memory";

const soonMs = 250;
const retryMs = 500;
/** With many runs here, commits come at this distance at the most: a sync of the disk stops everything, and serves twenty runs as well as one. */
const paceMs = 3;
const manyRuns = 12;

/**
 * The runs of this host: in memory as they are, in the journal as they were decided. The rule that everything else relies on stands here: a changed run is
 * acted upon only after its change is on disk.
 */
export class RunTable {
  readonly #runs = new Map<string, HeldRun>();
  readonly #unsaved = new Set<string>();
  readonly #settled = new Set<string>();
  readonly #droppedSpecs = new Set<number>();
  readonly #toAct = new Set<string>();
  readonly #journal: Journal;
  readonly #logger: Logger;
  readonly #act: (keys: readonly string[]) => void;
  #specs: { readonly id: number; readonly bytes: Uint8Array }[] = [];
  readonly #terms = new Map<string, number>();
  #afterCommit: (() => void)[] = [];
  #waiting: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  #committedAtMs = -Infinity;
  #used: Resources = { cpuMilli: 0, memoryBytes: 0 };
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = 0;
  /** When the next run needs a look, on the elapsed clock. */
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

  /** What runs that take a place ask for, unknown ones included. */
  used(): Resources {
    return this.#used;
  }

  /** Whether a run is or was here within the last hour. */
  isHeld(key: string): boolean {
    return this.#runs.has(key) || this.#settled.has(key) || this.#journal.remembers(key);
  }

  /** Takes over what the journal has already. */
  load(runs: readonly HeldRun[]): void {
    for (const held of runs) this.#put(held);
  }

  /** A run as it is from now on. With `now` it is acted upon after the next `commit`. */
  change(held: HeldRun, urgency: Urgency): void {
    this.#put(held);
    if (urgency === "memory") return;
    this.#unsaved.add(held.key);
    if (urgency === "now") this.#toAct.add(held.key);
    this.#commitIn(urgency === "now" ? paceMs : soonMs);
  }

  /** New runs, with the specs that are new with them. */
  add(
    runs: readonly HeldRun[],
    specs: readonly { readonly id: number; readonly bytes: Uint8Array }[],
    term?: { readonly epoch: string; readonly term: number },
  ): void {
    this.#specs.push(...specs);
    if (term) this.#terms.set(term.epoch, term.term);
    for (const held of runs) this.change(held, "now");
    this.commitSoonest();
  }

  /** Resolves once everything until now is on disk; rejects where the next write fails. */
  saved(): Promise<void> {
    if (!this.#hasChanges) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Commits now or, while many runs come and go, within a few milliseconds. */
  commitSoonest(): void {
    const waitMs = this.#runs.size < manyRuns ? 0 : this.#committedAtMs + paceMs - performance.now();
    if (waitMs <= 0) this.commit();
    else this.#commitIn(waitMs);
  }

  /** Its end is stored for good; only its key is kept. */
  settle(held: HeldRun, droppedSpec: number | undefined): void {
    if (takesPlace(held)) this.#count(held, -1);
    this.#runs.delete(held.key);
    this.#unsaved.delete(held.key);
    this.#settled.add(held.key);
    if (droppedSpec !== undefined) this.#droppedSpecs.add(droppedSpec);
    this.#commitIn(soonMs);
  }

  /** Writes everything that changed in one transaction, then has it acted upon. What cannot be written waits, and is tried again. */
  commit(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#hasChanges) {
      const waiting = this.#waiting.splice(0);
      try {
        this.#write();
      } catch (error) {
        this.#logger.error("the journal cannot be written; nothing new is done until it can", { error });
        for (const { reject } of waiting) reject(error);
        this.#commitIn(retryMs);
        return;
      }
      for (const { resolve } of waiting) resolve();
      this.#committedAtMs = performance.now();
    }
    for (const fn of this.#afterCommit.splice(0)) fn();
    this.#actOnWritten();
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
    this.#unsaved.clear();
    this.#settled.clear();
    this.#specs = [];
    this.#droppedSpecs.clear();
    this.#terms.clear();
  }

  /** Calls it once what changed until now is on disk. */
  afterCommit(fn: () => void): void {
    this.#afterCommit.push(fn);
    this.#commitIn(soonMs);
  }

  /** Acts upon runs that did not change, or whose change need not be on disk; those that wait for the disk are left to the commit. */
  actNow(keys: readonly string[]): void {
    const free = keys.filter((key) => !this.#toAct.has(key));
    if (free.length > 0) this.#act(free);
  }

  #actOnWritten(): void {
    const keys = [...this.#toAct];
    this.#toAct.clear();
    if (keys.length > 0) this.#act(keys);
  }

  /** Writes what waits, without acting upon it. */
  close(): void {
    this.#toAct.clear();
    this.commit();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** At the latest; what is due earlier stays so. */
  #commitIn(ms: number): void {
    const at = performance.now() + ms;
    if (this.#timer && this.#timerAtMs <= at) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = at;
    this.#timer = setTimeout(() => this.commit(), ms);
  }

  #put(held: HeldRun): void {
    const before = this.#runs.get(held.key);
    if (before && takesPlace(before)) this.#count(before, -1);
    if (takesPlace(held)) this.#count(held, 1);
    this.#runs.set(held.key, held);
    this.earliestMs = Math.min(this.earliestMs, deadlineOf(held) ?? Infinity);
  }

  #count({ needs: { resources } }: HeldRun, sign: 1 | -1): void {
    this.#used = {
      cpuMilli: this.#used.cpuMilli + sign * resources.cpuMilli,
      memoryBytes: this.#used.memoryBytes + sign * resources.memoryBytes,
    };
  }
}
