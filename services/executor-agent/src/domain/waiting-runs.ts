import type { Resources } from "@berth/core";
import type { HeldRun } from "./held-run.ts";

/** A run that waits longer than this on a host is given back: another host may have room. */
const longestWaitMs = 1_000;

/**
 * Runs that this host took over and cannot start yet, in the order in which they came. The scheduler sends short tasks ahead, so that the next one starts the
 * moment one ends, without the way to the database and back.
 */
export class WaitingRuns {
  readonly #since = new Map<string, number>();

  add(key: string, elapsedMs: number): void {
    if (!this.#since.has(key)) this.#since.set(key, elapsedMs);
  }

  get size(): number {
    return this.#since.size;
  }

  /** Takes out those that may start now: from the front, as long as they fit. */
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

  /** Takes out runs from the front as long as they are wanted. */
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

  /** Takes out those that have waited too long. */
  takeLate(elapsedMs: number): string[] {
    const late = [...this.#since].filter(([, since]) => elapsedMs - since > longestWaitMs).map(([key]) => key);
    for (const key of late) this.#since.delete(key);
    return late;
  }
}
