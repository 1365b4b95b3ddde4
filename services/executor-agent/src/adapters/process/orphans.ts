import { statSync } from "node:fs";
import { join } from "node:path";
import { runKey, runName } from "@berth/core";
import type { Run } from "@berth/core";
import type { DriverEvent } from "@berth/plugins";
import type { KeptRun } from "./keeper/protocol.ts";
import { readRecords } from "./keeper/records.ts";
import { eventOf, foundEvent, lostEvent, runOfKey } from "./kept-events.ts";
import { findByEnvironment, readProcess } from "./process-table.ts";

/** Runs whose keeper does not answer any more: they run on, but nobody waits for them. */
export interface Orphans {
  /** Takes over what a keeper's record has; `known` are runs whose end was told before. */
  adopt(dir: string, known: (key: string) => boolean): void;
  has(run: Run): boolean;
  signal(run: Run, signal: NodeJS.Signals): void;
  settle(keys: readonly string[]): void;
  close(): void;
}

interface Orphan {
  kept: KeptRun;
  readonly dir: string;
  over: boolean;
}

const lookMs = 500;
/** Between a start's note in the record and the kernel's own, with the coarse clocks of both. */
const toleranceMs = 2_000;

/** `emptied` is told when nothing of a directory is unsettled any more. */
export function watchOrphans(tell: (...events: DriverEvent[]) => void, emptied: (dir: string) => void): Orphans {
  const orphans = new Map<string, Orphan>();
  const sizes = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;

  function adopt(dir: string, known: (key: string) => boolean): void {
    const records = readRecords(dir);
    sizes.set(dir, sizeOf(dir));
    for (const kept of records.values()) {
      if (orphans.has(kept.k)) continue;
      const pid =
        kept.pid ?? (kept.x || kept.f ? undefined : findByEnvironment(`BERTH_RUN=${runName(runOfKey(kept.k))}`));
      const orphan: Orphan = {
        kept: pid === undefined || kept.pid !== undefined ? kept : withPid(kept, pid),
        dir,
        over: false,
      };
      orphans.set(kept.k, orphan);
      tell(foundEvent(orphan.kept));
      if (known(kept.k)) orphan.over = true;
      else judge(orphan);
    }
    forgetEmpty(dir);
    watch();
  }

  /** Tells its end, if it has one. */
  function judge(orphan: Orphan): void {
    const { kept } = orphan;
    if (kept.x || kept.f) end(orphan, eventOf(kept, { outOfMemory: false, peakBytes: undefined }));
    else if (!isThere(kept)) end(orphan, lostEvent(kept));
  }

  function end(orphan: Orphan, event: DriverEvent | undefined): void {
    orphan.over = true;
    if (event) tell(event);
  }

  /** A keeper that only cannot be reached still writes down ends. */
  function look(): void {
    timer = undefined;
    for (const [dir, size] of sizes) {
      if (sizeOf(dir) === size) continue;
      sizes.set(dir, sizeOf(dir));
      for (const kept of readRecords(dir).values()) {
        const orphan = orphans.get(kept.k);
        if (orphan && !orphan.over) orphan.kept = { ...orphan.kept, ...kept };
      }
    }
    for (const orphan of orphans.values()) if (!orphan.over) judge(orphan);
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
    has: (run) => orphans.has(runKey(run)),
    signal(run, signal) {
      const kept = orphans.get(runKey(run))?.kept;
      if (!kept?.pid || !isThere(kept)) return;
      try {
        process.kill(-kept.pid, signal);
      } catch {
        // gone meanwhile
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

/** Found by its environment: begun, but its keeper died before it wrote its pid. */
function withPid(kept: KeptRun, pid: number): KeptRun {
  const boot = readProcess(pid)?.startedBootMs;
  return { ...kept, pid, at: Date.now(), ...(boot === undefined ? {} : { boot }) };
}

/** Whether a run's process is still there, and not another with its pid. */
function isThere({ pid, boot }: KeptRun): boolean {
  if (pid === undefined) return false;
  const row = readProcess(pid);
  if (!row || row.isZombie || row.group !== pid) return false;
  return boot === undefined || row.startedBootMs === undefined || Math.abs(row.startedBootMs - boot) < toleranceMs;
}

const sizeOf = (dir: string): number =>
  ["runs.a", "runs.b"].reduce(
    (sum, name) => sum + (statSync(join(dir, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
