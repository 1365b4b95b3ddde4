import type { Driver } from "@berth/plugins";
import type { Resources } from "@berth/core";
import type { HeldRun } from "../domain/held-run.ts";
import { neverMs } from "../domain/lease.ts";
import type { Journal } from "../ports/journal.ts";
import type { HostState } from "./draft.ts";
import type { RunTable } from "./run-table.ts";

export interface LiveStateDeps {
  readonly journal: Journal;
  readonly driver: Driver;
  readonly table: RunTable;
  /** How many runs wait here for room. */
  readonly waiting: () => number;
}

/** What the reactor reads: the run table, and what the server's messages said of terms and epochs. */
export class LiveState implements HostState {
  readonly #deps: LiveStateDeps;
  readonly #terms = new Map<string, number>();
  #heardElapsedMs = neverMs;
  #epoch = "";

  constructor(deps: LiveStateDeps) {
    this.#deps = deps;
  }

  get(key: string): HeldRun | undefined {
    return this.#deps.table.get(key);
  }

  values(): Iterable<HeldRun> {
    return this.#deps.table.values();
  }

  isHeld(key: string): boolean {
    return this.#deps.table.isHeld(key);
  }

  get journalId(): string {
    return this.#deps.journal.id;
  }

  get capacity(): Resources {
    return this.#deps.driver.capacity();
  }

  get canSuspend(): boolean {
    return this.#deps.driver.features().has("suspend");
  }

  get waiting(): number {
    return this.#deps.waiting();
  }

  get heardElapsedMs(): number {
    return this.#heardElapsedMs;
  }

  termOf(epoch: string): number {
    return this.#terms.get(epoch) ?? 0;
  }

  /** The term of the epoch that answered last: a new database counts from 1 again. */
  get term(): number {
    return this.termOf(this.#epoch);
  }

  loadTerms(terms: ReadonlyMap<string, number>): void {
    for (const [epoch, term] of terms) this.setTerm(epoch, term);
  }

  setTerm(epoch: string, term: number): void {
    this.#terms.set(epoch, term);
  }

  /** The server answered a sync. */
  heard(askedElapsedMs: number, epoch: string): void {
    this.#heardElapsedMs = Math.max(this.#heardElapsedMs, askedElapsedMs);
    this.#epoch = epoch;
  }
}
