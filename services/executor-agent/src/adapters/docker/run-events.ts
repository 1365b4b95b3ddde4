import type { DriverEvent } from "@berth/plugins";
import { EventQueue } from "../event-queue.ts";
import type { HeldContainer } from "./held-container.ts";

/** Docker's init says only some milliseconds after the start that there is no such command; until then it is not told as started. */
const tellStartAfterMs = 100;

/** Tells what happens to runs, each start once and before its end. */
export class RunEvents {
  readonly #queue = new EventQueue();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Runs of earlier lives of the agent; told first. */
  readonly #found: DriverEvent[] = [];

  found(event: Extract<DriverEvent, { kind: "found" }>): void {
    this.#found.push(event);
  }

  /** Whether the run was found, and so needs no word of its start. */
  wasFound({ run }: HeldContainer): boolean {
    return this.#found.some((event) => event.run === run);
  }

  preparing({ run }: HeldContainer, detail: string): void {
    this.#queue.push({ kind: "preparing", run, detail });
  }

  notStarted(held: HeldContainer, event: DriverEvent): void {
    this.#queue.push(event);
    held.begun.resolve(event);
  }

  /** Not while its end is looked into: that may show that it never began. */
  startedSoon(held: HeldContainer): void {
    this.later(tellStartAfterMs, () => (held.ending ? this.startedSoon(held) : this.#started(held)));
  }

  ended(held: HeldContainer, event: DriverEvent): void {
    if (event.kind === "failed") held.begun.resolve(event);
    else this.#started(held);
    held.phase = "over";
    this.#queue.push(event);
  }

  /** Does it after a time, unless closed before. */
  later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  /** For the one reader. */
  batches(signal: AbortSignal): AsyncIterable<readonly DriverEvent[]> {
    return this.#queue.batches(this.#found, signal);
  }

  /** Nothing that waits for its time happens any more. */
  stopTimers(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  close(): void {
    this.#queue.close();
  }

  #started(held: HeldContainer): void {
    if (held.startTold || held.phase !== "running") return;
    held.startTold = true;
    const event: DriverEvent = { kind: "started", run: held.run, at: held.startedAt! };
    this.#queue.push(event);
    held.begun.resolve(event);
  }
}
