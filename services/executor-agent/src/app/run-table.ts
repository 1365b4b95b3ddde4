import type { Resources } from "@berth/core";
import type { Logger } from "../ports/logger.ts";
import { deadlineOf } from "../domain/steps.ts";
import { takesPlace } from "../domain/held-run.ts";
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
  #afterCommit: (() => void)[] = [];
  #used: Resources = { cpuMilli: 0, memoryBytes: 0 };
  #timer: NodeJS.Timeout | undefined;
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
    this.#commitIn(urgency === "now" ? 0 : soonMs);
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
    const runs = [...this.#unsaved].flatMap((key) => this.#runs.get(key) ?? []);
    const settled = [...this.#settled];
    if (runs.length > 0 || settled.length > 0) {
      try {
        this.#journal.write({ runs, settled, droppedSpecs: [...this.#droppedSpecs] });
      } catch (error) {
        this.#logger.error("the journal cannot be written; nothing new is done until it can", { error });
        this.#commitIn(retryMs);
        return;
      }
      this.#unsaved.clear();
      this.#settled.clear();
      this.#droppedSpecs.clear();
    }
    for (const fn of this.#afterCommit.splice(0)) fn();
    this.actNow();
  }

  /** Calls it once what changed until now is on disk. */
  afterCommit(fn: () => void): void {
    this.#afterCommit.push(fn);
    this.#commitIn(soonMs);
  }

  /** Acts upon what was written. */
  actNow(extra: Iterable<string> = []): void {
    const keys = new Set([...this.#toAct, ...extra]);
    this.#toAct.clear();
    if (keys.size > 0) this.#act([...keys]);
  }

  /** Writes what waits, without acting upon it. */
  close(): void {
    this.#toAct.clear();
    this.commit();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #commitIn(ms: number): void {
    if (ms === 0 && this.#timer) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    this.#timer ??= setTimeout(() => this.commit(), ms);
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
