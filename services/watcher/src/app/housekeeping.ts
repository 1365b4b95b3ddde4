import { AppError } from "@berth/core";
import type { Logger } from "../ports/instruments.ts";

/** What one step did, and whether more is due. */
export interface HousekeepingStep {
  readonly folded: number;
  readonly archived: number;
  readonly deleted: number;
  readonly more: boolean;
}

export interface HousekeepingDeps {
  /** One step in storage; removing many files takes long. */
  step(signal: AbortSignal): Promise<HousekeepingStep>;
  readonly logger: Logger;
  /** Milliseconds of a monotonic clock. */
  now(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

const everyMs = 60_000;
/** Ticks come every second. Without one for this long, another watcher holds the lease. */
const tickedMs = 5_000;
/** The pause after a step, as a multiple of the step's time, so that storage can do other work. */
const restOfStep = 2;
const leastRestMs = 10;

/** Has storage fold, archive and delete what is due: every minute, in small steps, as long as the ticks come. */
export class Housekeeping {
  readonly #deps: HousekeepingDeps;
  #running = false;
  #dueMs = -Infinity;
  #tickedMs = 0;

  constructor(deps: HousekeepingDeps) {
    this.#deps = deps;
  }

  /** Does not wait for the steps, because other timers must run while a million files are removed. */
  onTick(signal: AbortSignal): void {
    this.#tickedMs = this.#deps.now();
    if (this.#running || this.#tickedMs < this.#dueMs) return;
    this.#running = true;
    void this.#run(signal).finally(() => {
      this.#running = false;
      this.#dueMs = this.#deps.now() + everyMs;
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { step, logger, now, sleep } = this.#deps;
    let [archived, deleted] = [0, 0];
    try {
      for (let more = true; more && !signal.aborted && now() - this.#tickedMs < tickedMs;) {
        const from = now();
        const done = await step(signal);
        archived += done.archived;
        deleted += done.deleted;
        more = done.more;
        if (more) await sleep(Math.max(leastRestMs, restOfStep * (now() - from)), signal);
      }
    } catch (thrown) {
      const { reason, message, code } = AppError.from(thrown);
      if (!signal.aborted && code !== "unavailable")
        logger.warn("housekeeping failed; it is tried again in a minute", { reason, error: message });
    }
    if (archived + deleted > 0) logger.info("old tasks went", { archived, deleted });
  }
}
