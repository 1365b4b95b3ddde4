import type { Database } from "@berth/database";
import { sumUp } from "../../decisions/record/charge.ts";
import type { Charge } from "../../decisions/record/charge.ts";

const dayMs = 86_400_000;

interface DayUse {
  runs: number;
  cpuMs: number;
  coreMs: number;
  memoryMibS: number;
}

/** Sums over many tasks, gathered in memory during a transaction and added to the database at its end. */
export class RunningSums {
  readonly #db: Database;
  readonly #counts = new Map<string, Map<number, number>>();
  readonly #load = new Map<string, { live: number; cpuMilli: number; memoryBytes: number }>();
  readonly #days = new Map<string, DayUse>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** `n` tasks of a user went from one state to another; 0 is none. */
  moved(user: string, from: number, to: number, n = 1): void {
    if (n === 0 || from === to) return;
    let counts = this.#counts.get(user);
    if (!counts) this.#counts.set(user, (counts = new Map()));
    if (from > 0) counts.set(from, (counts.get(from) ?? 0) - n);
    if (to > 0) counts.set(to, (counts.get(to) ?? 0) + n);
  }

  /** A task takes (1) or leaves (-1) its place on a host. */
  loaded(host: string, direction: 1 | -1, needs: { readonly cpu_milli: number; readonly memory_bytes: number }): void {
    let load = this.#load.get(host);
    if (!load) this.#load.set(host, (load = { live: 0, cpuMilli: 0, memoryBytes: 0 }));
    load.live += direction;
    load.cpuMilli += direction * needs.cpu_milli;
    load.memoryBytes += direction * needs.memory_bytes;
  }

  charge(charge: Charge): void {
    const key = `${Math.floor(charge.endedAt / dayMs)}\0${charge.user}\0${charge.project}`;
    let use = this.#days.get(key);
    if (!use) this.#days.set(key, (use = { runs: 0, cpuMs: 0, coreMs: 0, memoryMibS: 0 }));
    use.runs += 1;
    use.cpuMs += charge.cpuMs;
    use.coreMs += (charge.wallMs * charge.cpuMilli) / 1000;
    use.memoryMibS += (charge.wallMs / 1000) * (charge.memoryBytes / 1_048_576);
  }

  flush(): void {
    for (const [user, counts] of this.#counts) {
      for (const [state, n] of counts) {
        if (n !== 0)
          this.#db
            .sql(
              "INSERT INTO task_counts (user, state, n) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            )
            .run(user, state, n);
      }
    }
    for (const [host, load] of this.#load) {
      this.#db
        .sql(
          `INSERT INTO host_load (host, live, cpu_milli, memory_bytes) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
           live = live + excluded.live, cpu_milli = cpu_milli + excluded.cpu_milli, memory_bytes = memory_bytes + excluded.memory_bytes`,
        )
        .run(host, load.live, load.cpuMilli, load.memoryBytes);
    }
    for (const [key, use] of this.#days) {
      const [day, user, project] = key.split("\0") as [string, string, string];
      this.#db
        .sql(
          `INSERT INTO usage_daily (day, user, project, runs, cpu_ms, core_ms, memory_mib_s) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
           runs = runs + excluded.runs, cpu_ms = min(cpu_ms + excluded.cpu_ms, ${Number.MAX_SAFE_INTEGER}), core_ms = min(core_ms + excluded.core_ms, ${Number.MAX_SAFE_INTEGER}), memory_mib_s = min(memory_mib_s + excluded.memory_mib_s, ${Number.MAX_SAFE_INTEGER})`,
        )
        .run(
          new Date(Number(day) * dayMs).toISOString().slice(0, 10),
          user,
          project,
          use.runs,
          sumUp(use.cpuMs),
          sumUp(use.coreMs),
          sumUp(use.memoryMibS),
        );
    }
  }
}
