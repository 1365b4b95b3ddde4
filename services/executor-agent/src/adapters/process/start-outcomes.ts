import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { DriverEvent } from "@berth/plugins";

/** Lets callers wait for the outcome of a start. */
export class StartOutcomes {
  readonly #waiting = new Map<string, (event: DriverEvent) => void>();

  /** Resolves with the first event that says whether the run was started. */
  of(run: Run): Promise<DriverEvent> {
    return new Promise((resolve) => this.#waiting.set(runKey(run), resolve));
  }

  onEvent(event: DriverEvent): void {
    if (event.kind === "found" || event.kind === "preparing") return;
    const key = runKey(event.run);
    this.#waiting.get(key)?.(event);
    this.#waiting.delete(key);
  }
}
