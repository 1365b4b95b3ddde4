import { readFileSync } from "node:fs";
import type { RunCgroup } from "./keeper/cgroup.ts";
import { hasProc, processTable, readProcess } from "./process-table.ts";
import type { ProcessRow } from "./process-table.ts";

export interface MemoryWatch {
  /** Watches a run. Its processes are the members of `cgroup`; without one, the agent finds them by session, group and ancestry. */
  add(key: string, pid: number, limitBytes: number, cgroup: RunCgroup | undefined): void;
  /** Stops watching a run, and returns what was measured. */
  remove(key: string): { readonly outOfMemory: boolean; readonly peakBytes: number | undefined };
  peakOf(key: string): number | undefined;
  close(): void;
}

interface Watched {
  readonly key: string;
  readonly limitBytes: number;
  readonly cgroup: RunCgroup | undefined;
  peakBytes: number | undefined;
  isOver: boolean;
}

interface Seen {
  /** Pid of its run's first process. */
  readonly root: number;
  readonly startedBootMs: number | undefined;
}

/**
 * Measures the resident memory of runs every `everyMs`, and calls `onOver` for a run above its limit, unless its cgroup limits it. A process that allocates
 * and ends between two measurements is missed.
 */
export function watchMemory(onOver: (key: string) => void, everyMs = 500): MemoryWatch {
  const byPid = new Map<number, Watched>();
  const pids = new Map<string, number>();
  /** Processes found by ancestry before, because their parents may have ended since. */
  const seen = new Map<number, Seen>();
  let timer: NodeJS.Timeout | undefined;

  function measure(): void {
    timer = undefined;
    if (byPid.size === 0) return;
    try {
      for (const [root, members] of membersOf(byPid, seen)) note(byPid.get(root)!, members);
    } catch {
      // /proc cannot be read now, as without free descriptors.
    }
    arm();
  }

  function note(watched: Watched, members: readonly ProcessRow[]): void {
    const residentBytes = members.reduce((sum, row) => sum + row.residentBytes, 0);
    watched.peakBytes = Math.max(watched.peakBytes ?? 0, residentBytes);
    if (watched.cgroup?.limitsMemory) return;
    if (residentBytes <= watched.limitBytes || proportionalBytes(members) <= watched.limitBytes) return;
    watched.isOver = true;
    onOver(watched.key);
  }

  function arm(): void {
    if (byPid.size > 0) timer ??= setTimeout(measure, everyMs);
  }

  return {
    add(key, pid, limitBytes, cgroup) {
      if (pids.has(key)) return;
      byPid.set(pid, { key, limitBytes, cgroup, peakBytes: undefined, isOver: false });
      pids.set(key, pid);
      arm();
    },
    remove(key) {
      const pid = pids.get(key) ?? -1;
      const watched = byPid.get(pid);
      byPid.delete(pid);
      pids.delete(key);
      return { outOfMemory: watched?.isOver ?? false, peakBytes: watched?.peakBytes };
    },
    peakOf: (key) => byPid.get(pids.get(key) ?? -1)?.peakBytes,
    close: () => clearTimeout(timer),
  };
}

/** The processes of each run. Reads the whole process table only where a run has no cgroup. */
function membersOf(watched: ReadonlyMap<number, Watched>, seen: Map<number, Seen>): Map<number, ProcessRow[]> {
  const found = new Map<number, ProcessRow[]>();
  const others = new Map<number, Watched>();
  for (const [pid, run] of watched) {
    if (run.cgroup)
      found.set(
        pid,
        run.cgroup.members().flatMap((member) => readProcess(member) ?? []),
      );
    else others.set(pid, run);
  }
  if (others.size > 0) for (const [pid, rows] of membersByAncestry(others, processTable(), seen)) found.set(pid, rows);
  return found;
}

/** The processes of each run by session, group or ancestry, keyed by the pid of its first process. */
function membersByAncestry(
  roots: ReadonlyMap<number, unknown>,
  table: ReadonlyMap<number, ProcessRow>,
  seen: Map<number, Seen>,
): Map<number, ProcessRow[]> {
  const owners = new Map<number, number>();
  const ownerSeen = ({ pid, startedBootMs }: ProcessRow): number => {
    const before = seen.get(pid);
    return before && before.startedBootMs === startedBootMs && roots.has(before.root) ? before.root : 0;
  };
  const ownerOf = (pid: number, depth = 0): number => {
    const known = owners.get(pid);
    if (known !== undefined) return known;
    const row = table.get(pid);
    const owner = roots.has(pid)
      ? pid
      : !row || depth > 1_000
        ? 0
        : roots.has(row.group)
          ? row.group
          : row.session !== undefined && roots.has(row.session)
            ? row.session
            : ownerOf(row.parent, depth + 1) || ownerSeen(row);
    owners.set(pid, owner);
    return owner;
  };
  const found = new Map<number, ProcessRow[]>();
  const all = [...table.values()].flatMap((row) => {
    const owner = ownerOf(row.pid);
    return owner === 0 ? [] : [{ row, owner }];
  });
  seen.clear();
  for (const { row, owner } of all) {
    seen.set(row.pid, { root: owner, startedBootMs: row.startedBootMs });
    const members = found.get(owner);
    if (members) members.push(row);
    else found.set(owner, [row]);
  }
  return found;
}

/** Sum of the proportional set sizes, in which shared pages count once. Slow, so read only for runs that seem over their limit. */
function proportionalBytes(members: readonly ProcessRow[]): number {
  return members.reduce((sum, { pid, residentBytes }) => sum + (proportionalOf(pid) ?? residentBytes), 0);
}

function proportionalOf(pid: number): number | undefined {
  if (!hasProc) return undefined;
  try {
    const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "latin1"));
    return match ? Number(match[1]) * 1024 : undefined;
  } catch {
    return undefined;
  }
}
