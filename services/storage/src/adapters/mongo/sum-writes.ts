import type { RunningSums } from "../../decisions/record/running-sums.ts";
import type { Write } from "./calls.ts";

/** What a transaction adds to the sums in the database. */
export function sumWrites(sums: RunningSums): Write[] {
  const writes: Write[] = [];
  const add = (id: string, of: Readonly<Record<string, string | number>>, more: Readonly<Record<string, number>>) => {
    if (Object.values(more).every((n) => n === 0)) return;
    const $inc = Object.fromEntries(Object.entries(more).map(([key, n]) => [key, Math.round(n)]));
    writes.push({
      updateOne: { filter: { _id: id as never }, update: { $inc, $setOnInsert: of }, upsert: true },
    });
  };
  for (const { user, state, n } of sums.counts())
    add(`count\0${user}\0${state}`, { kind: "count", user, state }, { n });
  for (const { host, live, cpuMilli, memoryBytes } of sums.loads())
    add(`load\0${host}`, { kind: "load", host }, { live, cpu_milli: cpuMilli, memory_bytes: memoryBytes });
  for (const { day, user, project, runs, cpuMs, coreMs, memoryMibS } of sums.days()) {
    add(
      `day\0${day}\0${user}\0${project}`,
      { kind: "day", day, user, project },
      { runs, cpu_ms: cpuMs, core_ms: coreMs, memory_mib_s: memoryMibS },
    );
  }
  return writes;
}
