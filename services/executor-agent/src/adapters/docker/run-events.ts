import type { DriverEvent } from "@berth/plugins";
import { EventQueue } from "../event-queue.ts";
import type { HeldContainer } from "./held-container.ts";

/** Delay of the started event, because docker's init reports a missing command only some milliseconds after the start. */
const tellStartAfterMs = 100;

/** Emits the driver's events, each start once and before its end. */
export class RunEvents {
  readonly #queue = new EventQueue();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Runs that an earlier agent process started; emitted first. */
  readonly #found: DriverEvent[] = [];

  found(event: Extract<DriverEvent, { kind: "found" }>): void {
    this.#found.push(event);
  }

  /** Whether the run was found, so that no started event is needed. */
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

  /** Emits the start after the delay, and not while the run's end is inspected, which may show that it never began. */
  startedSoon(held: HeldContainer): void {
    this.later(tellStartAfterMs, () => (held.ending ? this.startedSoon(held) : this.#started(held)));
  }

  ended(held: HeldContainer, event: DriverEvent): void {
    if (event.kind === "failed") held.begun.resolve(event);
    else this.#started(held);
    held.phase = "over";
    this.#queue.push(event);
  }

  /** Calls `work` after a time, unless the timers are stopped before. */
  later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  /** The events; for one reader only. */
  batches(signal: AbortSignal): AsyncIterable<readonly DriverEvent[]> {
    return this.#queue.batches(this.#found, signal);
  }

  /** Cancels all delayed work. */
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
