import type { Database } from "@berth/database";
import { sumUp } from "../../decisions/record/charge.ts";
import type { RunningSums } from "../../decisions/record/running-sums.ts";

/** At the end of a call's writes: adds its sums to those in the database. */
export function writeSums(db: Database, sums: RunningSums): void {
  for (const { user, state, n } of sums.counts()) {
    db.sql(
      "INSERT INTO task_counts (user, state, n) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
    ).run(user, state, n);
  }
  for (const { host, live, cpuMilli, memoryBytes } of sums.loads()) {
    db.sql(
      `INSERT INTO host_load (host, live, cpu_milli, memory_bytes) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
       live = live + excluded.live, cpu_milli = cpu_milli + excluded.cpu_milli, memory_bytes = memory_bytes + excluded.memory_bytes`,
    ).run(host, live, cpuMilli, memoryBytes);
  }
  for (const { day, user, project, runs, cpuMs, coreMs, memoryMibS } of sums.days()) {
    db.sql(
      `INSERT INTO usage_daily (day, user, project, runs, cpu_ms, core_ms, memory_mib_s) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
       runs = runs + excluded.runs, cpu_ms = min(cpu_ms + excluded.cpu_ms, ${Number.MAX_SAFE_INTEGER}), core_ms = min(core_ms + excluded.core_ms, ${Number.MAX_SAFE_INTEGER}), memory_mib_s = min(memory_mib_s + excluded.memory_mib_s, ${Number.MAX_SAFE_INTEGER})`,
    ).run(day, user, project, runs, sumUp(cpuMs), sumUp(coreMs), sumUp(memoryMibS));
  }
}
