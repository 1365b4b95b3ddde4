import type { HealthServiceService, Problem } from "@berth/contracts/health";
import { HealthServiceService as definition } from "@berth/contracts/health";
import { bindService } from "./grpc-server.ts";
import type { BoundService } from "./grpc-server.ts";

/** What of a service's own work fails now, though it may serve: for `berth status`. Safe to set and clear as often as one likes. */
export class Problems {
  readonly #now: () => Date;
  readonly #known = new Map<string, Problem>();

  constructor(now: () => Date = () => new Date()) {
    this.#now = now;
  }

  /** That fails, since now or since it was set first. */
  set(code: string, message: string): void {
    this.#known.set(code, { code, message, sinceTime: this.#known.get(code)?.sinceTime ?? this.#now() });
  }

  /** That went well. */
  clear(code: string): void {
    this.#known.delete(code);
  }

  /** The oldest first. */
  list(): Problem[] {
    return [...this.#known.values()];
  }
}

/** Lets other services ask for them. */
export const problemService = (problems: Problems): BoundService =>
  bindService<HealthServiceService>(definition, { listProblems: async () => ({ problems: problems.list() }) });
