import { statSync } from "node:fs";
import { join } from "node:path";
import { runKey, runName } from "@berth/core";
import type { Run } from "@berth/core";
import type { DriverEvent } from "@berth/plugins";
import type { RunCgroup } from "./keeper/cgroup.ts";
import type { RunRecord, RunSignal } from "./keeper/protocol.ts";
import { readRecords } from "./keeper/records.ts";
import { eventOf, foundEvent, lostEvent, runOfKey } from "./record-events.ts";
import { uidOfKeeper } from "./keeper-names.ts";
import type { MemoryWatch } from "./memory-watch.ts";
import { findByEnvironment, processTable, readProcess } from "./process-table.ts";

/** Runs whose keeper is dead or cannot be reached. The agent watches, signals and cleans them up itself; only their exit codes are lost. */
export interface Orphans {
  /** Takes over the runs in a keeper's record. `known` says whether the end of a run was reported before. */
  adopt(dir: string, known: (key: string) => boolean): void;
  /** Takes over only the ends in a record: its keeper ran before the machine's last boot. */
  adoptEnded(dir: string): void;
  has(run: Run): boolean;
  signal(run: Run, signal: RunSignal): void;
  settle(keys: readonly string[]): void;
  close(): void;
}

export interface OrphansOptions {
  readonly emit: (event: DriverEvent) => void;
  /** Called when every run of a directory is settled. */
  readonly emptied: (dir: string) => void;
  readonly cgroupOf: (dir: string, kept: RunRecord) => RunCgroup | undefined;
  readonly memory: MemoryWatch;
}

interface Orphan {
  kept: RunRecord;
  readonly dir: string;
  over: boolean;
}

const lookMs = 500;
/** How far the start time in the record and the one of the kernel may differ: both clocks are coarse. */
const toleranceMs = 2_000;

export function watchOrphans({ emit, emptied, cgroupOf, memory }: OrphansOptions): Orphans {
  const orphans = new Map<string, Orphan>();
  const sizes = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;

  function adopt(dir: string, known: (key: string) => boolean): void {
    const records = readRecords(dir);
    sizes.set(dir, sizeOf(dir));
    for (const kept of records.values()) if (!orphans.has(kept.k)) adoptOne(dir, withProcess(dir, kept), known(kept.k));
    forgetEmpty(dir);
    watch();
  }

  function adoptOne(dir: string, kept: RunRecord, isKnown: boolean): void {
    const orphan: Orphan = { kept, dir, over: isKnown };
    orphans.set(kept.k, orphan);
    emit(foundEvent(kept));
    if (isKnown) return;
    if (kept.pid !== undefined) memory.add(kept.k, kept.pid, kept.m, cgroupOf(dir, kept));
    judge(orphan);
  }

  /** A run that began, but whose keeper died before it recorded the pid. */
  function withProcess(dir: string, kept: RunRecord): RunRecord {
    if (kept.pid !== undefined || kept.x || kept.f) return kept;
    const members = (cgroupOf(dir, kept)?.members() ?? []).flatMap((member) => readProcess(member) ?? []);
    const [oldest] = members.toSorted((one, other) => (one.startedBootMs ?? 0) - (other.startedBootMs ?? 0));
    const named = oldest ? undefined : findByEnvironment(`BERTH_RUN=${runName(runOfKey(kept.k))}`, uidOfKeeper(dir));
    // The session id is the pid of the run's first process.
    const pid = oldest?.pid ?? (named === undefined ? undefined : (readProcess(named)?.session ?? named));
    if (pid === undefined) return kept;
    const boot = readProcess(pid)?.startedBootMs;
    return { ...kept, pid, at: Date.now(), ...(boot === undefined ? {} : { boot }) };
  }

  /** Reports the end of a run that has ended. */
  function judge(orphan: Orphan): void {
    const { kept, dir } = orphan;
    if (kept.x || kept.f) end(orphan, eventOf(kept, memory.remove(kept.k)));
    else if (!isAlive(kept, cgroupOf(dir, kept))) {
      memory.remove(kept.k);
      end(orphan, lostEvent(kept));
    }
  }

  function end(orphan: Orphan, event: DriverEvent | undefined): void {
    orphan.over = true;
    if (event) emit(event);
  }

  /** Reads records again, because a keeper that lives but cannot be reached still records ends. */
  function look(): void {
    timer = undefined;
    try {
      for (const [dir, size] of sizes) {
        if (sizeOf(dir) === size) continue;
        const records = readRecords(dir);
        sizes.set(dir, sizeOf(dir));
        for (const kept of records.values()) {
          const orphan = orphans.get(kept.k);
          if (orphan && !orphan.over) orphan.kept = { ...orphan.kept, ...kept };
        }
      }
      for (const orphan of orphans.values()) if (!orphan.over) judge(orphan);
    } catch {
      // /proc cannot be read now, as without free descriptors: the next look decides.
    }
    watch();
  }

  function watch(): void {
    if ([...orphans.values()].some(({ over }) => !over)) timer ??= setTimeout(look, lookMs);
  }

  function forgetEmpty(dir: string): void {
    if ([...orphans.values()].some((orphan) => orphan.dir === dir)) return;
    sizes.delete(dir);
    emptied(dir);
  }

  return {
    adopt,
    adoptEnded(dir) {
      for (const kept of readRecords(dir).values())
        if ((kept.x ?? kept.f) && !orphans.has(kept.k)) adoptOne(dir, kept, false);
      forgetEmpty(dir);
    },
    has: (run) => orphans.has(runKey(run)),
    signal(run, signal) {
      const orphan = orphans.get(runKey(run));
      if (!orphan || orphan.over) return;
      const { kept, dir } = orphan;
      const cgroup = cgroupOf(dir, kept);
      if (!isAlive(kept, cgroup)) return;
      if (cgroup && signal === "STOP") cgroup.freeze();
      else if (cgroup && signal === "CONT") cgroup.thaw();
      else if (cgroup && signal === "KILL") cgroup.kill();
      else {
        if (kept.pid !== undefined && isFirstAlive(kept)) sendTo(-kept.pid, `SIG${signal}`);
        cgroup?.signalOutside(kept.pid ?? 0, `SIG${signal}`);
      }
    },
    settle(keys) {
      const dirs = new Set<string>();
      for (const key of keys) {
        const orphan = orphans.get(key);
        if (!orphan?.over) continue;
        orphans.delete(key);
        dirs.add(orphan.dir);
      }
      for (const dir of dirs) forgetEmpty(dir);
    },
    close: () => clearTimeout(timer),
  };
}

/** Whether a run still has processes. Kills the rest once the first process has ended. */
function isAlive(kept: RunRecord, cgroup: RunCgroup | undefined): boolean {
  if (isFirstAlive(kept)) return true;
  if (cgroup) {
    if (cgroup.isEmpty) return false;
    cgroup.kill();
    return true;
  }
  const rest = kept.pid === undefined ? [] : sessionOf(kept.pid);
  for (const pid of rest) sendTo(pid, "SIGKILL");
  return rest.length > 0;
}

/** Whether a run's first process is alive. Start time and group tell it from a later process with its pid. */
function isFirstAlive({ pid, boot }: RunRecord): boolean {
  if (pid === undefined) return false;
  const row = readProcess(pid);
  if (!row || row.isZombie || row.group !== pid) return false;
  return boot === undefined || row.startedBootMs === undefined || Math.abs(row.startedBootMs - boot) < toleranceMs;
}

/** The processes of a session. The kernel does not reuse the id while one is left. */
const sessionOf = (session: number): number[] =>
  [...processTable().values()].flatMap((row) => (row.session === session && !row.isZombie ? [row.pid] : []));

function sendTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

const sizeOf = (dir: string): number =>
  ["runs.a", "runs.b"].reduce(
    (sum, name) => sum + (statSync(join(dir, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
