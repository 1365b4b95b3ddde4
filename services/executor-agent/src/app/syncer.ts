import type { SyncReply, SyncRequest } from "@berth/contracts/agent";
import type { Reason } from "@berth/core";
import type { Clock } from "../ports/clock.ts";
import type { ControlPlane } from "../ports/control-plane.ts";
import type { Logger } from "../ports/logger.ts";

export interface SyncerDeps {
  readonly control: ControlPlane;
  readonly logger: Logger;
  readonly random: () => number;
  readonly clock: Pick<Clock, "now">;
  readonly request: () => SyncRequest;
  /** `askedElapsedMs`: when the sync was sent. */
  readonly onReply: (reply: SyncReply, askedElapsedMs: number) => void;
  /** A watcher refused this agent. */
  readonly onRefused: (reason: Reason) => void;
  /** The longest time between two syncs that the leases of this host's runs allow. */
  readonly everyMs: () => number;
}

const mostMs = 10_000;
const behindMs = 1_000;
/** How often a refused agent asks whether the other one is gone. */
const refusedMs = 5_000;
const backoff = { baseMs: 200, maxMs: 5_000 };

/** Sends syncs: at start, regularly, when woken, and soon again if no watcher answered or the watcher is behind. */
export class Syncer {
  readonly #deps: SyncerDeps;
  readonly #signal: AbortSignal;
  #timer: NodeJS.Timeout | undefined;
  #dueElapsedMs = Infinity;
  #asking = false;
  #wanted = false;
  #failures = 0;

  constructor(deps: SyncerDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
    signal.addEventListener("abort", () => clearTimeout(this.#timer));
  }

  /** Sends a sync now. If one is in flight, sends another after its answer, which may be older than the reason to wake. */
  wake(): void {
    if (this.#asking) this.#wanted = true;
    else void this.#ask();
  }

  /** Sends a sync within that time. */
  within(ms: number): void {
    if (this.#asking || this.#signal.aborted || this.#deps.clock.now().elapsedMs + ms >= this.#dueElapsedMs) return;
    this.#askIn(ms);
  }

  #askIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#dueElapsedMs = this.#deps.clock.now().elapsedMs + ms;
    this.#timer = setTimeout(() => void this.#ask(), ms);
  }

  async #ask(): Promise<void> {
    if (this.#signal.aborted) return;
    clearTimeout(this.#timer);
    this.#asking = true;
    this.#wanted = false;
    const { elapsedMs } = this.#deps.clock.now();
    let waitMs = 0;
    try {
      const reply = await this.#deps.control.sync(this.#deps.request(), this.#signal);
      this.#failures = 0;
      waitMs = this.#take(reply, elapsedMs);
    } catch (error) {
      if (this.#signal.aborted) return;
      this.#failures += 1;
      // One or two failures are normal while all services start together.
      if (this.#failures === 3)
        this.#deps.logger.warn("the control plane does not answer; what runs here runs on", { error });
      waitMs =
        Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(this.#failures - 1, 16)) *
        (0.5 + this.#deps.random() / 2);
    }
    this.#asking = false;
    if (this.#wanted) void this.#ask();
    else this.#askIn(waitMs);
  }

  /** Passes the answer on; returns how long to wait before the next sync. */
  #take(reply: SyncReply, askedElapsedMs: number): number {
    if (reply.refused) {
      this.#deps.onRefused(reply.refused);
      this.#wanted = false; // the wake was meant for the other agent
      return refusedMs;
    }
    if (!reply.ready) return behindMs;
    this.#deps.onReply(reply, askedElapsedMs);
    return Math.min(mostMs, this.#deps.everyMs()) * (0.9 + this.#deps.random() / 5);
  }
}
