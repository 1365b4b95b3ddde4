import { readFileSync } from "node:fs";
import type { RunCgroup } from "./keeper/cgroup.ts";
import { hasProc, processTable, readProcess } from "./process-table.ts";
import type { ProcessRow } from "./process-table.ts";

export interface MemoryWatch {
  /** `cgroup` tells its processes; without one they are found by session, group and ancestry. */
  add(key: string, pid: number, limitBytes: number, cgroup: RunCgroup | undefined): void;
  /** Takes a run off, and says what was seen of it. */
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
 * Looks at the memory of runs twice a second, and says which is above its limit. Where no cgroup limits memory, what allocates and ends between two looks
 * gets away.
 */
export function watchMemory(onOver: (key: string) => void, everyMs = 500): MemoryWatch {
  const byPid = new Map<number, Watched>();
  const pids = new Map<string, number>();
  /** Processes that were seen to be of a run stay of it, though their parents are gone. */
  const seen = new Map<number, Seen>();
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    timer = undefined;
    if (byPid.size === 0) return;
    try {
      for (const [root, members] of membersOf(byPid, seen)) note(byPid.get(root)!, members);
    } catch {
      // No descriptor is free, so nothing can be said of any process now.
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
    if (byPid.size > 0) timer ??= setTimeout(look, everyMs);
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

/** The processes of each run. All processes of the machine are looked at only where a run has no cgroup. */
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
  if (others.size > 0) for (const [pid, rows] of families(others, processTable(), seen)) found.set(pid, rows);
  return found;
}

/** Each process with the run that it is of: by its session or group, or by whom it descends from. */
function families(
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
    const family = found.get(owner);
    if (family) family.push(row);
    else found.set(owner, [row]);
  }
  return found;
}

/** What processes share counts once, split among them; asked only for who seems to be over, for it is slow. */
function proportionalBytes(family: readonly ProcessRow[]): number {
  return family.reduce((sum, { pid, residentBytes }) => sum + (proportionalOf(pid) ?? residentBytes), 0);
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
