import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { cpus } from "node:os";
import { databaseInUse } from "@berth/test-support";

/** Prints one benchmark's figures as a line of JSON, with what is needed to compare lines of different days. */
export function report(benchmark: string, figures: Readonly<Record<string, unknown>>): void {
  process.stdout.write(
    `${JSON.stringify({ benchmark, ...figures, database: databaseInUse(), cpus: cpus().length, node: process.version, at: new Date().toISOString() })}\n`,
  );
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

export const perSecond = (count: number, ms: number): number => Math.round((count / ms) * 1000);

export const round = (value: number, digits = 2): number => Math.round(value * 10 ** digits) / 10 ** digits;

/** Processor time and proportional memory of processes, from /proc; children included where they are listed. `endedMs`: processor time of their children that have ended. */
export function processFigures(pids: readonly number[]): { cpuMs: number; endedMs: number; pssBytes: number } {
  const ticksMs = 1000 / Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  let cpuMs = 0;
  let endedMs = 0;
  let pssBytes = 0;
  for (const pid of pids) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      cpuMs += (Number(fields[11]) + Number(fields[12])) * ticksMs;
      endedMs += (Number(fields[13]) + Number(fields[14])) * ticksMs;
      pssBytes += Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0) * 1024;
    } catch {
      // ended meanwhile
    }
  }
  return { cpuMs, endedMs, pssBytes };
}

/** The processes and all their descendants. */
export function withDescendants(roots: readonly number[]): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // ended meanwhile
    }
  }
  const found = new Set(roots);
  for (let grew = true; grew;) {
    grew = false;
    for (const [pid, parent] of parents) {
      if (found.has(parent) && !found.has(pid)) {
        found.add(pid);
        grew = true;
      }
    }
  }
  return [...found];
}
