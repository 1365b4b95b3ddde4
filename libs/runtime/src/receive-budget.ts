import { AppError } from "@berth/core";

/** Bytes of messages that are on their way into this process, and calls that are open. */
export interface BudgetLimits {
  readonly bytesPerCaller: number;
  readonly bytes: number;
  readonly callsPerCaller: number;
  readonly calls: number;
}

const MiB = 1024 * 1024;

/** Of callers who have shown credentials. */
export const knownLimits: BudgetLimits = {
  bytesPerCaller: 128 * MiB,
  bytes: 512 * MiB,
  callsPerCaller: 15_000,
  calls: 100_000,
};
/** Of an address, whoever calls from there with credentials: it leaves as much to the others. */
export const addressLimits: BudgetLimits = {
  bytesPerCaller: 256 * MiB,
  bytes: Infinity,
  callsPerCaller: 50_000,
  calls: Infinity,
};
/** Of services of this cluster. */
export const noLimits: BudgetLimits = {
  bytesPerCaller: Infinity,
  bytes: Infinity,
  callsPerCaller: Infinity,
  calls: Infinity,
};
/** Of an address whose callers have shown none: it may only log in. */
export const unknownLimits: BudgetLimits = { bytesPerCaller: MiB, bytes: 8 * MiB, callsPerCaller: 128, calls: 2_048 };

/** One call's part of a budget. */
export interface CallBudget {
  /** Takes room for a message, in place of the one before it. Throws `quota` TOO_MANY_BYTES. */
  reserve(bytes: number): void;
  /** Gives back all of it; may be called more than once. */
  release(): void;
}

/** What callers hold of this process. An entry goes with its last call, so there are no more of them than calls. */
export class ReceiveBudget {
  readonly #limits: BudgetLimits;
  readonly #callers = new Map<string, Held>();
  #bytes = 0;
  #calls = 0;

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  /** Opens a call, which counts in `beside`, too. Throws `quota` TOO_MANY_CALLS, and gives `beside` back then. */
  open(caller: string, beside?: CallBudget): CallBudget {
    const held = this.#callers.get(caller) ?? { bytes: 0, calls: 0 };
    if (held.calls >= this.#limits.callsPerCaller || this.#calls >= this.#limits.calls) {
      beside?.release();
      throw new AppError(
        "quota",
        "TOO_MANY_CALLS",
        `${caller} has too many calls open here; let some of them end first`,
      );
    }
    this.#callers.set(caller, held);
    held.calls += 1;
    this.#calls += 1;
    return new OpenCall(this, caller, held, beside);
  }

  /** Called by the call that it is of. */
  take(caller: string, held: Held, more: number): void {
    if (held.bytes + more > this.#limits.bytesPerCaller || this.#bytes + more > this.#limits.bytes)
      throw new AppError("quota", "TOO_MANY_BYTES", `${caller} is sending too much at once; send less in parallel`);
    held.bytes += more;
    this.#bytes += more;
  }

  /** Called by the call that it is of, once. */
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
  readonly #beside: CallBudget | undefined;
  #bytes = 0;
  #isOpen = true;

  constructor(budget: ReceiveBudget, caller: string, held: Held, beside: CallBudget | undefined) {
    this.#budget = budget;
    this.#caller = caller;
    this.#held = held;
    this.#beside = beside;
  }

  reserve(bytes: number): void {
    if (!this.#isOpen) return;
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
