import type { Sums } from "../../ports/records.ts";
import type { Charge } from "./charge.ts";

const dayMs = 86_400_000;

export interface CountSum {
  readonly user: string;
  readonly state: number;
  readonly n: number;
}

export interface LoadSum {
  readonly host: string;
  live: number;
  cpuMilli: number;
  memoryBytes: number;
}

export interface DaySum {
  /** As `2026-11-24`, by the end of its runs. */
  readonly day: string;
  readonly user: string;
  readonly project: string;
  runs: number;
  cpuMs: number;
  coreMs: number;
  memoryMibS: number;
}

/**
 * Sums over many tasks, gathered in memory during a transaction; an engine adds them to the database at its end. How stays with each engine: SQLite adds and
 * bounds columns in one statement a row, MongoDB increments fields of documents, and only there the sums of several calls are put together.
 */
export class RunningSums implements Sums {
  readonly #counts = new Map<string, Map<number, number>>();
  readonly #loads = new Map<string, LoadSum>();
  readonly #days = new Map<string, DaySum>();

  moved(user: string, from: number, to: number, n = 1): void {
    if (n === 0 || from === to) return;
    if (from > 0) this.#count(user, from, -n);
    if (to > 0) this.#count(user, to, n);
  }

  loaded(host: string, direction: 1 | -1, needs: { readonly cpu_milli: number; readonly memory_bytes: number }): void {
    const load = this.#loadOf(host);
    load.live += direction;
    load.cpuMilli += direction * needs.cpu_milli;
    load.memoryBytes += direction * needs.memory_bytes;
  }

  charge({ user, project, endedAt, cpuMs, wallMs, cpuMilli, memoryBytes }: Charge): void {
    const use = this.#dayOf(Math.floor(endedAt / dayMs), user, project);
    use.runs += 1;
    use.cpuMs += cpuMs;
    use.coreMs += (wallMs * cpuMilli) / 1000;
    use.memoryMibS += (wallMs / 1000) * (memoryBytes / 1_048_576);
  }

  /** Takes in the sums of another call. */
  merge(other: RunningSums): void {
    for (const { user, state, n } of other.counts()) this.#count(user, state, n);
    for (const [host, { live, cpuMilli, memoryBytes }] of other.#loads) {
      const load = this.#loadOf(host);
      load.live += live;
      load.cpuMilli += cpuMilli;
      load.memoryBytes += memoryBytes;
    }
    for (const [key, more] of other.#days) {
      const use = this.#days.get(key);
      if (!use) {
        this.#days.set(key, { ...more });
        continue;
      }
      use.runs += more.runs;
      use.cpuMs += more.cpuMs;
      use.coreMs += more.coreMs;
      use.memoryMibS += more.memoryMibS;
    }
  }

  /** How many more tasks of a user are in a state; none that is 0. */
  *counts(): Iterable<CountSum> {
    for (const [user, counts] of this.#counts) for (const [state, n] of counts) if (n !== 0) yield { user, state, n };
  }

  loads(): Iterable<Readonly<LoadSum>> {
    return this.#loads.values();
  }

  days(): Iterable<Readonly<DaySum>> {
    return this.#days.values();
  }

  #count(user: string, state: number, n: number): void {
    let counts = this.#counts.get(user);
    if (!counts) this.#counts.set(user, (counts = new Map()));
    counts.set(state, (counts.get(state) ?? 0) + n);
  }

  #loadOf(host: string): LoadSum {
    let load = this.#loads.get(host);
    if (!load) this.#loads.set(host, (load = { host, live: 0, cpuMilli: 0, memoryBytes: 0 }));
    return load;
  }

  #dayOf(number: number, user: string, project: string): DaySum {
    const key = `${number}\0${user}\0${project}`;
    let use = this.#days.get(key);
    if (!use) {
      const day = new Date(number * dayMs).toISOString().slice(0, 10);
      this.#days.set(key, (use = { day, user, project, runs: 0, cpuMs: 0, coreMs: 0, memoryMibS: 0 }));
    }
    return use;
  }
}
