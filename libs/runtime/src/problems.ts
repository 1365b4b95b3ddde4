import type { HealthServiceService, Problem } from "@berth/contracts/health";
import { HealthServiceService as definition } from "@berth/contracts/health";
import { bindService } from "./grpc-server.ts";
import type { BoundService } from "./grpc-server.ts";

/**
 * The service's own current failures, for `berth status`. The service may still answer calls. `set` and `clear` may be called any number of times.
 */
export class Problems {
  readonly #now: () => Date;
  readonly #known = new Map<string, Problem>();

  constructor(now: () => Date = () => new Date()) {
    this.#now = now;
  }

  /** Reports a failure; its start is the first `set` since it was last cleared. */
  set(code: string, message: string): void {
    this.#known.set(code, { code, message, sinceTime: this.#known.get(code)?.sinceTime ?? this.#now() });
  }

  /** Withdraws the failure. */
  clear(code: string): void {
    this.#known.delete(code);
  }

  /** Sorted by start, the oldest first. */
  list(): Problem[] {
    return [...this.#known.values()];
  }
}

/** A gRPC service with this copy's problems and its current activities. */
export const problemService = (problems: Problems, activity: () => string = () => ""): BoundService =>
  bindService<HealthServiceService>(definition, {
    listProblems: async () => ({ problems: problems.list(), activity: activity() }),
  });
