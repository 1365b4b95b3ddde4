import type { Resources } from "@berth/core";
import type { HeldRun } from "./held-run.ts";

/** A run that waits longer than this is refused, because another host may have capacity. */
const longestWaitMs = 1_000;

/**
 * Accepted runs that do not fit yet, in order of arrival. The scheduler sends short tasks ahead, so that a host can start the next one without a round trip to
 * the database.
 */
export class WaitingRuns {
  readonly #since = new Map<string, number>();

  add(key: string, elapsedMs: number): void {
    if (!this.#since.has(key)) this.#since.set(key, elapsedMs);
  }

  get size(): number {
    return this.#since.size;
  }

  /** Removes and returns the runs that may start now: from the front, as long as they fit. */
  takeReady(get: (key: string) => HeldRun | undefined, used: Resources, capacity: Resources): string[] {
    const ready: string[] = [];
    let { cpuMilli, memoryBytes } = used;
    for (const key of this.#since.keys()) {
      const held = get(key);
      if (held?.phase.kind !== "accepted" || held.frozen) {
        this.#since.delete(key);
        continue;
      }
      const needs = held.needs.resources;
      const fits =
        cpuMilli + needs.cpuMilli <= capacity.cpuMilli && memoryBytes + needs.memoryBytes <= capacity.memoryBytes;
      if (!fits) break;
      cpuMilli += needs.cpuMilli;
      memoryBytes += needs.memoryBytes;
      this.#since.delete(key);
      ready.push(key);
    }
    return ready;
  }

  /** Removes and returns runs from the front as long as `isWanted`. */
  takeWhile(get: (key: string) => HeldRun | undefined, isWanted: (held: HeldRun) => boolean): string[] {
    const taken: string[] = [];
    for (const key of this.#since.keys()) {
      const held = get(key);
      const waits = held?.phase.kind === "accepted";
      if (waits && !isWanted(held)) break;
      this.#since.delete(key);
      if (waits) taken.push(key);
    }
    return taken;
  }

  /** Removes and returns the runs that waited too long. */
  takeLate(elapsedMs: number): string[] {
    const late = [...this.#since].filter(([, since]) => elapsedMs - since > longestWaitMs).map(([key]) => key);
    for (const key of late) this.#since.delete(key);
    return late;
  }
}
