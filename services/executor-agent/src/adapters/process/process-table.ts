import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";

/** A process of this machine. */
export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Not known where there is no /proc. */
  readonly session: number | undefined;
  /** Stopped by a signal or a tracer. */
  readonly isStopped: boolean;
  readonly isZombie: boolean;
  readonly residentBytes: number;
  /** Since boot; not known where there is no /proc. */
  readonly startedBootMs: number | undefined;
}

const tickMs = 10; // USER_HZ is 100 on every Linux that Node runs on
const pageBytes = 4096;

export const hasProc = process.platform === "linux";

/** One process; undefined where it is gone. Throws where the system cannot say, as without free descriptors. */
export function readProcess(pid: number): ProcessRow | undefined {
  if (!hasProc) return processTable().get(pid);
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
  // The name may hold blanks and brackets; what follows its last bracket does not.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, parent, group, session] = fields;
  return {
    pid,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    isStopped: state === "T" || state === "t",
    isZombie: state === "Z" || state === "X",
    startedBootMs: Number(fields[19]) * tickMs,
    residentBytes: Number(fields[21]) * pageBytes,
  };
}

/** All processes: a few milliseconds of work on a busy machine. */
export function processTable(): Map<number, ProcessRow> {
  const rows = new Map<number, ProcessRow>();
  if (!hasProc) {
    const text = execFileSync("ps", ["-A", "-o", "pid=,ppid=,pgid=,stat=,rss="], { encoding: "utf8" });
    for (const line of text.split("\n")) {
      const [pid, parent, group, state = "", rssKiB] = line.trim().split(/\s+/);
      if (pid)
        rows.set(Number(pid), {
          pid: Number(pid),
          parent: Number(parent),
          group: Number(group),
          session: undefined,
          isStopped: state.startsWith("T"),
          isZombie: state.startsWith("Z"),
          residentBytes: Number(rssKiB) * 1024,
          startedBootMs: undefined,
        });
    }
    return rows;
  }
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!(pid > 0)) continue;
    const row = readProcess(pid);
    if (row) rows.set(pid, row);
  }
  return rows;
}

/** Processes whose environment has this setting; only those that may be looked into. */
export function findByEnvironment(setting: string): number | undefined {
  if (!hasProc) return undefined;
  for (const name of readdirSync("/proc")) {
    if (!(Number(name) > 0)) continue;
    try {
      if (`\0${readFileSync(`/proc/${name}/environ`, "latin1")}`.includes(`\0${setting}\0`)) return Number(name);
    } catch {
      // gone, or another's
    }
  }
  return undefined;
}

const isGone = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH");
