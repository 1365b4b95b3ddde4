import { readFileSync } from "node:fs";
import { hasProc, processTable } from "./process-table.ts";
import type { ProcessRow } from "./process-table.ts";

export interface MemoryWatch {
  add(key: string, pid: number, limitBytes: number): void;
  /** Takes a run off, and says what was seen of it. */
  remove(key: string): { readonly outOfMemory: boolean; readonly peakBytes: number | undefined };
  peakOf(key: string): number | undefined;
  close(): void;
}

interface Watched {
  readonly key: string;
  readonly limitBytes: number;
  peakBytes: number | undefined;
  isOver: boolean;
}

/**
 * Looks at the memory of runs twice a second, and says which is above its limit. A cgroup for each run would hold exactly, and costs 150 µs of each; this costs
 * nothing for runs shorter than half a second, and works for users without cgroups. What allocates and ends between two looks gets away.
 */
export function watchMemory(onOver: (key: string) => void, everyMs = 500): MemoryWatch {
  const byPid = new Map<number, Watched>();
  const pids = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    timer = undefined;
    if (byPid.size === 0) return;
    for (const [root, family] of families(byPid, processTable())) {
      const watched = byPid.get(root);
      if (!watched) continue;
      const residentBytes = family.reduce((sum, row) => sum + row.residentBytes, 0);
      watched.peakBytes = Math.max(watched.peakBytes ?? 0, residentBytes);
      if (residentBytes <= watched.limitBytes || proportionalBytes(family) <= watched.limitBytes) continue;
      watched.isOver = true;
      onOver(watched.key);
    }
    arm();
  }

  function arm(): void {
    if (byPid.size > 0) timer ??= setTimeout(look, everyMs);
  }

  return {
    add(key, pid, limitBytes) {
      if (pids.has(key)) return;
      byPid.set(pid, { key, limitBytes, peakBytes: undefined, isOver: false });
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

/** Each process with the run that it is of: by its group, or by whom it descends from. */
function families(
  roots: ReadonlyMap<number, unknown>,
  table: ReadonlyMap<number, ProcessRow>,
): Map<number, ProcessRow[]> {
  const owners = new Map<number, number>();
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
          : ownerOf(row.parent, depth + 1);
    owners.set(pid, owner);
    return owner;
  };
  const found = new Map<number, ProcessRow[]>();
  for (const row of table.values()) {
    const owner = ownerOf(row.pid);
    if (owner === 0) continue;
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
