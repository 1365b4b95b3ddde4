import { AppError } from "@berth/core";

/** Limits of message bytes in transit into this process, and of open calls. */
export interface BudgetLimits {
  readonly bytesPerCaller: number;
  readonly bytes: number;
  readonly callsPerCaller: number;
  readonly calls: number;
}

const MiB = 1024 * 1024;

/** Limits of callers with credentials. */
export const knownLimits: BudgetLimits = {
  bytesPerCaller: 128 * MiB,
  bytes: 512 * MiB,
  callsPerCaller: 15_000,
  calls: 100_000,
};
/** Limits per address for callers with credentials, of messages larger than `smallBytes`. They leave as much again for other addresses. */
export const addressLimits: BudgetLimits = {
  bytesPerCaller: 256 * MiB,
  bytes: Infinity,
  callsPerCaller: Infinity,
  calls: Infinity,
};
/** A message up to this size counts for its user only. Nearly all are that small, and a second count would cost each of them. */
export const smallBytes = 64 * 1024;
/** For services of this cluster. */
export const noLimits: BudgetLimits = {
  bytesPerCaller: Infinity,
  bytes: Infinity,
  callsPerCaller: Infinity,
  calls: Infinity,
};
/** Limits per address for callers without credentials: they can only log in. */
export const unknownLimits: BudgetLimits = { bytesPerCaller: MiB, bytes: 8 * MiB, callsPerCaller: 128, calls: 2_048 };

/** One call's part of a budget. */
export interface CallBudget {
  /** Reserves room for a message, and releases that of the previous one. Throws `quota` TOO_MANY_BYTES. */
  reserve(bytes: number): void;
  /** Releases everything. May be called more than once. */
  release(): void;
}

/** Bytes and calls per caller. An entry is removed with the caller's last call, so there are never more entries than calls. */
export class ReceiveBudget {
  readonly #limits: BudgetLimits;
  readonly #callers = new Map<string, Held>();
  #bytes = 0;
  #calls = 0;

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  /** Opens a call. A message larger than `smallBytes` also counts in what `beside` opens. Throws `quota` TOO_MANY_CALLS. */
  open(caller: string, beside?: () => CallBudget): CallBudget {
    const held = this.#callers.get(caller) ?? { bytes: 0, calls: 0 };
    if (held.calls >= this.#limits.callsPerCaller || this.#calls >= this.#limits.calls)
      throw new AppError(
        "quota",
        "TOO_MANY_CALLS",
        `${caller} has too many calls open here; let some of them end first`,
      );
    this.#callers.set(caller, held);
    held.calls += 1;
    this.#calls += 1;
    return new OpenCall(this, caller, held, beside);
  }

  /** To be called by a CallBudget only. */
  take(caller: string, held: Held, more: number): void {
    if (held.bytes + more > this.#limits.bytesPerCaller || this.#bytes + more > this.#limits.bytes)
      throw new AppError("quota", "TOO_MANY_BYTES", `${caller} is sending too much at once; send less in parallel`);
    held.bytes += more;
    this.#bytes += more;
  }

  /** To be called by a CallBudget only, once. */
  giveBack(caller: string, held: Held, bytes: number): void {
    held.bytes -= bytes;
    this.#bytes -= bytes;
    this.#calls -= 1;
    held.calls -= 1;
    if (held.calls === 0) this.#callers.delete(caller);
  }
}

interface Held {
  bytes: number;
  calls: number;
}

class OpenCall implements CallBudget {
  readonly #budget: ReceiveBudget;
  readonly #caller: string;
  readonly #held: Held;
  readonly #openBeside: (() => CallBudget) | undefined;
  #beside: CallBudget | undefined;
  #bytes = 0;
  #isOpen = true;

  constructor(budget: ReceiveBudget, caller: string, held: Held, openBeside: (() => CallBudget) | undefined) {
    this.#budget = budget;
    this.#caller = caller;
    this.#held = held;
    this.#openBeside = openBeside;
  }

  reserve(bytes: number): void {
    if (!this.#isOpen) return;
    if (bytes > smallBytes) this.#beside ??= this.#openBeside?.();
    this.#beside?.reserve(bytes);
    this.#budget.take(this.#caller, this.#held, bytes - this.#bytes);
    this.#bytes = bytes;
  }

  release(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#beside?.release();
    this.#budget.giveBack(this.#caller, this.#held, this.#bytes);
  }
}
