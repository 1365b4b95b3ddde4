import { AppError } from "@berth/core";
import { backoffMs } from "./retry.ts";

/** Storage's answer about a lease. */
export interface LeaseAnswer {
  readonly held: boolean;
  /** Grows with each new holder. */
  readonly term: number;
  readonly holder: string;
}

export interface LeaseKeeperOptions {
  /** Takes or renews the lease. Storage counts its life by its own clock, from its decision. */
  acquire(ttlMs: number, signal: AbortSignal): Promise<LeaseAnswer>;
  /** Life of the lease in milliseconds; renewed at a third of it. */
  readonly ttlMs: number;
  /** A monotonic clock in milliseconds. */
  monotonic(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  readonly random: () => number;
  /** Called at the first of several failures in a row. */
  readonly onError?: (error: AppError) => void;
}

/** Requests of a waiting process per life of a lease. The pause between them delays a takeover. */
const renewalsPerLease = 8;

/**
 * A lease that one of several processes holds. This process counts its lease from the moment it *sent* the last successful renewal. Storage counts from a later
 * moment, so no other process can hold the lease before it has ended here.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  #untilMs = -Infinity;
  #failures = 0;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  get held(): boolean {
    return this.#options.monotonic() < this.#untilMs;
  }

  /** Asks until this process holds the lease; resolves with its term. Rejects only when aborted. */
  async wait(signal: AbortSignal): Promise<number> {
    for (;;) {
      const answer = await this.#ask(signal);
      if (answer?.held) return answer.term;
      await this.#options.sleep(answer ? this.#options.ttlMs / renewalsPerLease : this.#failureMs(), signal);
    }
  }

  /** Renews the lease of that term. Resolves with the reason of its end: another process holds it, or its term changed. Rejects only when aborted. */
  async keep(term: number, signal: AbortSignal): Promise<string> {
    await this.#options.sleep(this.#options.ttlMs / 3, signal);
    for (;;) {
      const answer = await this.#ask(signal);
      if (answer && !answer.held) return `${answer.holder || "nobody"} holds it`;
      if (answer && answer.term !== term) return `its term is ${answer.term} now`;
      await this.#options.sleep(answer ? this.#options.ttlMs / 3 : this.#failureMs(), signal);
    }
  }

  /** Acquires the lease and renews it, again and again; `held` reports changes. Throws when aborted. */
  async run(signal: AbortSignal): Promise<never> {
    for (;;) await this.keep(await this.wait(signal), signal);
  }

  /** Undefined without an answer. */
  async #ask(signal: AbortSignal): Promise<LeaseAnswer | undefined> {
    const { acquire, ttlMs, monotonic, onError } = this.#options;
    signal.throwIfAborted();
    const sentAtMs = monotonic();
    try {
      const answer = await acquire(ttlMs, signal);
      this.#failures = 0;
      this.#untilMs = answer.held ? sentAtMs + ttlMs : -Infinity;
      return answer;
    } catch (thrown) {
      signal.throwIfAborted();
      if (this.#failures++ === 0) onError?.(AppError.from(thrown));
      return undefined;
    }
  }

  /** Pause after a failure. It is short, because another copy of storage may answer before the lease ends. */
  #failureMs(): number {
    const { ttlMs, random } = this.#options;
    return backoffMs(this.#failures, random, { baseMs: ttlMs / 40, maxMs: ttlMs / 3 });
  }
}
