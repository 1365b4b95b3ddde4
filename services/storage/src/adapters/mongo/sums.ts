import type { Charge } from "../../decisions/record/charge.ts";
import type { Write } from "./calls.ts";

const dayMs = 86_400_000;

interface Sum {
  /** What it is the sum of. */
  readonly of: Readonly<Record<string, string | number>>;
  readonly add: Record<string, number>;
}

/** Sums over many tasks, gathered and added to the database once a transaction. */
export class Sums {
  readonly #sums = new Map<string, Sum>();

  /** `n` tasks of a user went from one state to another; 0 is none. */
  moved(user: string, from: number, to: number, n = 1): void {
    if (n === 0 || from === to) return;
    if (from > 0) this.#add(`count\0${user}\0${from}`, { kind: "count", user, state: from }, { n: -n });
    if (to > 0) this.#add(`count\0${user}\0${to}`, { kind: "count", user, state: to }, { n });
  }

  /** A task takes (1) or leaves (-1) its place on a host. */
  loaded(host: string, direction: 1 | -1, toLoad: { readonly cpu_milli: number; readonly memory_bytes: number }): void {
    this.#add(
      `load\0${host}`,
      { kind: "load", host },
      { live: direction, cpu_milli: direction * toLoad.cpu_milli, memory_bytes: direction * toLoad.memory_bytes },
    );
  }

  charge({ user, project, endedAt, cpuMs, wallMs, cpuMilli, memoryBytes }: Charge): void {
    const day = new Date(Math.floor(endedAt / dayMs) * dayMs).toISOString().slice(0, 10);
    this.#add(
      `day\0${day}\0${user}\0${project}`,
      { kind: "day", day, user, project },
      {
        runs: 1,
        cpu_ms: cpuMs,
        core_ms: (wallMs * cpuMilli) / 1000,
        memory_mib_s: (wallMs / 1000) * (memoryBytes / 1_048_576),
      },
    );
  }

  merge(other: Sums): void {
    for (const [id, { of, add }] of other.#sums) this.#add(id, of, add);
  }

  writes(): Write[] {
    return [...this.#sums]
      .filter(([, { add }]) => Object.values(add).some((n) => n !== 0))
      .map(([_id, { of, add }]) => ({
        updateOne: {
          filter: { _id: _id as never },
          update: {
            $inc: Object.fromEntries(Object.entries(add).map(([key, n]) => [key, Math.round(n)])),
            $setOnInsert: of,
          },
          upsert: true,
        },
      }));
  }

  #add(id: string, of: Sum["of"], add: Readonly<Record<string, number>>): void {
    const sum = this.#sums.get(id);
    if (!sum) return void this.#sums.set(id, { of, add: { ...add } });
    for (const [key, n] of Object.entries(add)) sum.add[key] = (sum.add[key] ?? 0) + n;
  }
}
