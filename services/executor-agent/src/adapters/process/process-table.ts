import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, statSync } from "node:fs";

/** A process of this machine. */
export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Session id; undefined without /proc. */
  readonly session: number | undefined;
  /** Stopped by a signal or a tracer. */
  readonly isStopped: boolean;
  readonly isZombie: boolean;
  readonly residentBytes: number;
  /** Start time since boot; undefined without /proc. */
  readonly startedBootMs: number | undefined;
}

const tickMs = 10; // USER_HZ is 100 on every Linux that Node runs on
const pageBytes = 4096;

export const hasProc = process.platform === "linux";

/** One process; undefined if it does not exist. Throws if /proc cannot be read, as without free descriptors. */
export function readProcess(pid: number): ProcessRow | undefined {
  if (!hasProc) return processTable().get(pid);
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
  // The name may contain blanks and brackets, so the other fields begin after the last bracket.
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

/** All processes. Takes a few milliseconds on a busy machine. */
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

/**
 * Pid of a process of that user whose environment has this setting. Others may have copied the setting, so theirs do not count. Processes that this user may not read are
 * skipped.
 */
export function findByEnvironment(setting: string, uid: number): number | undefined {
  if (!hasProc) return undefined;
  for (const name of readdirSync("/proc")) {
    if (!(Number(name) > 0)) continue;
    try {
      if (statSync(`/proc/${name}`).uid !== uid) continue;
      if (`\0${readFileSync(`/proc/${name}/environ`, "latin1")}`.includes(`\0${setting}\0`)) return Number(name);
    } catch {
      // ended, or of another user
    }
  }
  return undefined;
}

const isGone = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH");
