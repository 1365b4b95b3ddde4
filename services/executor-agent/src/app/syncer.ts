import { Verdict } from "@berth/contracts/agent";
import type { RunVerdict, SyncReply, SyncRequest } from "@berth/contracts/agent";
import type { Word } from "../domain/news.ts";
import type { ControlPlane } from "../ports/control-plane.ts";
import type { Logger } from "../ports/logger.ts";

export interface SyncerDeps {
  readonly control: ControlPlane;
  readonly logger: Logger;
  readonly random: () => number;
  readonly request: () => SyncRequest;
  readonly onReply: (reply: SyncReply) => void;
}

const everyMs = 10_000;
const behindMs = 1_000;
const backoff = { baseMs: 200, maxMs: 5_000 };

/** Asks for the whole list: at start, every ten seconds, when woken, and soon again where nobody answered or the watcher is behind. */
export class Syncer {
  readonly #deps: SyncerDeps;
  readonly #signal: AbortSignal;
  #timer: NodeJS.Timeout | undefined;
  #asking = false;
  #wanted = false;
  #failures = 0;

  constructor(deps: SyncerDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
    signal.addEventListener("abort", () => clearTimeout(this.#timer));
  }

  /** Asks now, or right after the answer that is awaited: that one may be older than what woke us. */
  wake(): void {
    if (this.#asking) this.#wanted = true;
    else void this.#ask();
  }

  async #ask(): Promise<void> {
    if (this.#signal.aborted) return;
    clearTimeout(this.#timer);
    this.#asking = true;
    this.#wanted = false;
    let waitMs = everyMs * (0.9 + this.#deps.random() / 5);
    try {
      const reply = await this.#deps.control.sync(this.#deps.request(), this.#signal);
      this.#failures = 0;
      if (reply.ready) this.#deps.onReply(reply);
      else waitMs = behindMs;
    } catch (error) {
      if (this.#signal.aborted) return;
      this.#failures += 1;
      // The first one or two are of a start at the same time.
      if (this.#failures === 3)
        this.#deps.logger.warn("the control plane does not answer; what runs here runs on", { error });
      waitMs =
        Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(this.#failures - 1, 16)) *
        (0.5 + this.#deps.random() / 2);
    }
    this.#asking = false;
    if (this.#wanted) void this.#ask();
    else this.#timer = setTimeout(() => void this.#ask(), waitMs);
  }
}

const causes = { KILLED: "killed", SUPERSEDED: "superseded", OVER: "over" } as const;

/** A verdict in our words; undefined for one that a newer watcher may say and we do not know: it does nothing. */
export function wordOf({ verdict, reason, by }: RunVerdict): Word | undefined {
  switch (verdict) {
    case Verdict.RUN:
      return { kind: "run" };
    case Verdict.STOP: {
      const cause = causes[reason as keyof typeof causes];
      return cause && { kind: "stop", cause, by };
    }
    case Verdict.SUSPEND:
      return { kind: "suspend" };
    case Verdict.RESUME:
      return { kind: "resume" };
    case Verdict.UNKNOWN:
      return { kind: "unknown" };
    default:
      return undefined;
  }
}
