import { AppError } from "@berth/core";
import type { Resources } from "@berth/core";
import { LeaseKeeper } from "@berth/runtime";
import type { Explanation } from "../domain/explain.ts";
import { Leader } from "./leader.ts";
import type { LeaderDeps } from "./leader.ts";

export interface SchedulerDeps extends LeaderDeps {
  readonly leaseTtlMs: number;
  /** Milliseconds of a monotonic clock. */
  monotonic(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** How long to wait for the answer to an open plan when the term ends. */
const lastAnswerMs = 2_000;

/**
 * Leads while it holds the lease, and stands by otherwise. If the lease could not be renewed in time, it stops answering but keeps the term. It can do no harm,
 * because each plan is fenced by its term; and giving up while storage is busy would cost storage another snapshot.
 */
export class Scheduler {
  readonly #deps: SchedulerDeps;
  readonly #lease: LeaseKeeper;
  #leader: Leader | undefined;
  #disabledUsers: ReadonlySet<string> = new Set();
  #term = 0;

  constructor(deps: SchedulerDeps) {
    this.#deps = deps;
    this.#lease = new LeaseKeeper({
      acquire: (ttlMs, signal) => deps.store.acquireLease(ttlMs, signal),
      ttlMs: deps.leaseTtlMs,
      monotonic: () => deps.monotonic(),
      sleep: (ms, signal) => deps.sleep(ms, signal),
      random: deps.random,
      onError: (error) => deps.logger.warn("the lease cannot be asked for", { error: error.message }),
    });
  }

  /** Term of the lease it holds; 0 while it stands by. */
  get term(): number {
    return this.#leader ? this.#term : 0;
  }

  /** Holds the tasks of these users, and starts those of all others. */
  setDisabledUsers(users: ReadonlySet<string>): void {
    this.#disabledUsers = users;
    this.#leader?.setDisabledUsers(users);
  }

  /** Whose tasks wait or run, as far as this scheduler leads and remembers. */
  owners(): string[] {
    const shapes = this.#leader?.queue.shapes.all() ?? [];
    return [...new Set([...this.#disabledUsers, ...Array.from(shapes, ({ user }) => user)])];
  }

  get pending(): number {
    return this.#leader?.queue.pending ?? 0;
  }

  /** Why a task waits; undefined where it is not pending. Throws `unavailable` NOT_LEADER or NOT_READY. */
  explain(taskId: string): Explanation | undefined {
    return this.#leading().explain(taskId);
  }

  /** Capacities that no known host exceeds in both amounts. Throws `unavailable` NOT_LEADER or NOT_READY. */
  largestHosts(): Resources[] {
    return this.#leading().largestHosts();
  }

  #leading(): Leader {
    if (!this.#leader || !this.#lease.held)
      throw new AppError("unavailable", "NOT_LEADER", "this scheduler stands by; another leads, or none does yet");
    return this.#leader;
  }

  /** Runs until aborted. An error in a term ends only that term. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, logger, sleep } = this.#deps;
    for (let failures = 0; !signal.aborted;) {
      try {
        const term = await this.#lease.wait(signal);
        this.#term = term;
        const why = await this.#lead(term, signal);
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

  async #lead(term: number, signal: AbortSignal): Promise<string> {
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const failure = Promise.withResolvers<never>();
    const leader = new Leader(this.#deps, term, both, (error) => {
      if (!both.aborted) failure.reject(error);
    });
    try {
      leader.setDisabledUsers(this.#disabledUsers);
      this.#leader = leader;
      const following = this.#deps.store.follow(leader, both).then(() => new Promise<never>(() => {}));
      return await Promise.race([this.#lease.keep(term, both), following, failure.promise]);
    } finally {
      this.#leader = undefined;
      if (!signal.aborted) await Promise.race([leader.end(), this.#deps.sleep(lastAnswerMs, both)]).catch(() => {});
      stop.abort(new Error("the term is over"));
    }
  }

  #onFailure(error: unknown): void {
    const known = AppError.from(error);
    this.#deps.onPlanned(known.reason === "STALE_TERM" ? undefined : error);
    const detail =
      known.code === "internal" ? { error: known.cause ?? known } : { reason: known.reason, error: known.message };
    this.#deps.logger.warn(
      known.reason === "STALE_TERM" ? "another leads: this one stands by" : "a term of leading failed",
      { term: this.#term, ...detail },
    );
  }
}
