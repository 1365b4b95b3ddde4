import type { MongoCalls } from "@berth/storage";
import { MongoNetworkError, MongoServerError } from "mongodb";

/** What happens at one call of the driver: it may fail before it reaches the server, or after, when the answer is lost. */
export interface Fault {
  readonly call: keyof MongoCalls;
  /** Of its arguments, where it matters. */
  when?(args: readonly unknown[]): boolean;
  readonly moment: "before" | "after";
  error(): Error;
}

/** The driver's calls with faults between: each of the list happens once, in its order, at the first call that it fits. */
export class FaultyCalls {
  readonly calls: MongoCalls;
  /** Faults to come. */
  readonly plan: Fault[] = [];
  /** How many happened. */
  happened = 0;

  constructor(real: MongoCalls) {
    const wrapped: Record<string, unknown> = {};
    for (const [name, method] of Object.entries(real)) {
      const call = method as (...args: unknown[]) => unknown;
      wrapped[name] = (...args: unknown[]) => {
        const fault = this.#take(name, args);
        if (!fault) return call(...args);
        if (name === "watch" || name === "begin") throw fault.error();
        return this.#fail(fault, () => call(...args));
      };
    }
    this.calls = wrapped as unknown as MongoCalls;
  }

  #take(name: string, args: readonly unknown[]): Fault | undefined {
    const next = this.plan[0];
    if (!next || next.call !== name || next.when?.(args) === false) return undefined;
    this.happened += 1;
    return this.plan.shift();
  }

  async #fail(fault: Fault, call: () => unknown): Promise<never> {
    if (fault.moment === "after") await call();
    throw fault.error();
  }
}

const labelled = <E extends MongoNetworkError | MongoServerError>(error: E, ...labels: string[]): E => {
  for (const label of labels) error.addErrorLabel(label);
  return error;
};

/** The connection broke while a commit was under way. */
export const lostCommit = (): Error =>
  labelled(new MongoNetworkError("connection closed"), "UnknownTransactionCommitResult");

/** The connection broke within a transaction. */
export const lostTransaction = (): Error =>
  labelled(new MongoNetworkError("connection closed"), "TransientTransactionError");

export const networkError = (): Error => new MongoNetworkError("connection refused");

export const serverError = (code: number, ...labels: string[]): Error =>
  labelled(new MongoServerError({ message: `error ${code}`, code }), ...labels);

export const writeConflict = (): Error => serverError(112, "TransientTransactionError");
