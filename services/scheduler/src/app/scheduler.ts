import { AppError } from "@berth/core";
import type { Explanation } from "../domain/explain.ts";
import { Leader } from "./leader.ts";
import type { LeaderDeps } from "./leader.ts";
import { keepLease, waitForLease } from "./leadership.ts";
import type { LeadershipDeps } from "./leadership.ts";

export interface SchedulerDeps<Message> extends LeaderDeps<Message> {
  readonly leaseTtlMs: number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Leads while it holds the lease, stands by otherwise. */
export class Scheduler<Message> {
  readonly #deps: SchedulerDeps<Message>;
  #leader: Leader<Message> | undefined;
  #term = 0;

  constructor(deps: SchedulerDeps<Message>) {
    this.#deps = deps;
  }

  /** Term of the lease it holds; 0 while it stands by. */
  get term(): number {
    return this.#leader ? this.#term : 0;
  }

  get pending(): number {
    return this.#leader?.queue.pending ?? 0;
  }

  /** Why a task waits; undefined where it is not pending. Throws `unavailable` NOT_LEADER or NOT_READY. */
  explain(taskId: string): Explanation | undefined {
    if (!this.#leader)
      throw new AppError("unavailable", "NOT_LEADER", "this scheduler stands by; another leads, or none does yet");
    return this.#leader.explain(taskId);
  }

  /** Runs until aborted; whatever fails in a term ends only that term. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, logger, leaseTtlMs, sleep } = this.#deps;
    const lease = { acquire: store.acquireLease.bind(store), ttlMs: leaseTtlMs, sleep };
    let told = false;
    for (let failures = 0; !signal.aborted;) {
      try {
        const term = await waitForLease(lease, signal, (error) => {
          if (!told) logger.warn("the lease cannot be asked for", { error: AppError.from(error).message });
          told = true;
        });
        told = false;
        this.#term = term;
        const why = await this.#lead(term, lease, signal);
        logger.warn("leads no more", { term, why });
        failures = 0;
      } catch (error) {
        if (signal.aborted) break;
        this.#onFailure(error);
        await sleep(Math.min(5000, 100 * 2 ** failures++), signal).catch(() => {});
      }
    }
    this.#leader = undefined;
    await store.releaseLease().catch(() => {});
  }

  async #lead(term: number, lease: LeadershipDeps, signal: AbortSignal): Promise<string> {
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const failure = Promise.withResolvers<never>();
    try {
      this.#leader = new Leader(this.#deps, term, both, (error) => {
        if (!both.aborted) failure.reject(error);
      });
      const following = this.#deps.store.follow(this.#leader, both).then(() => new Promise<never>(() => {}));
      return await Promise.race([keepLease(lease, term, both), following, failure.promise]);
    } finally {
      this.#leader = undefined;
      stop.abort(new Error("the term is over"));
    }
  }

  #onFailure(error: unknown): void {
    const known = AppError.from(error);
    if (known.reason === "STALE_TERM") this.#deps.instruments.staleTerm();
    const detail =
      known.code === "internal" ? { error: known.cause ?? known } : { reason: known.reason, error: known.message };
    this.#deps.logger.warn(
      known.reason === "STALE_TERM" ? "another leads: this one stands by" : "a term of leading failed",
      { term: this.#term, ...detail },
    );
  }
}
