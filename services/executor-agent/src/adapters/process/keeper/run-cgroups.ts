import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { RunCgroup, homeName, removeCgroupDir } from "./cgroup.ts";
import { readProcess } from "../process-table.ts";
import type { CgroupPlace } from "./protocol.ts";

/** Free cgroups to keep for reuse, because making and removing one costs a sixth of a short task. */
const maxFree = 64;
/** A cgroup is removed after this many runs, because memory that the kernel never uncharges adds up. */
const maxUses = 500;
const drainMs = 50;
/** Enough for processes that fork while they are killed. */
const killPasses = 1_000;

interface Slot {
  readonly cgroup: RunCgroup;
  readonly memoryBytes: number;
  uses: number;
  /** Totals at the end of the last run. */
  cpuMs: number;
  oomKills: number;
}

/** What a run used, by its cgroup. */
export interface CgroupUse {
  readonly cpuMs: number | undefined;
  readonly oomKills: number;
}

/** One cgroup per live run of a keeper. A cgroup is reused once no process of the earlier run is left. */
export class RunCgroups {
  readonly #place: CgroupPlace;
  readonly #free: Slot[] = [];
  readonly #slots = new Map<string, Slot>();
  readonly #draining = new Set<Slot>();
  /** `tasks` files of the keeper's own cgroups (version 1). */
  readonly #home: readonly number[];
  #last = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(place: CgroupPlace) {
    this.#place = place;
    this.#home = place.version === 1 ? place.homes.map((dir) => openSync(join(dir, "tasks"), "w")) : [];
    if (place.version === 2) for (const dir of place.homes) writeTo(join(dir, "cgroup.procs"), String(process.pid));
  }

  /** Returns the name of an empty cgroup with this memory limit. Throws the system's error if none can be made. */
  take(memoryBytes: number): string {
    const at = this.#free.findLastIndex((free) => free.memoryBytes === memoryBytes);
    const slot = at >= 0 ? this.#free.splice(at, 1)[0]! : this.#make(memoryBytes);
    slot.uses += 1;
    this.#slots.set(slot.cgroup.name, slot);
    return slot.cgroup.name;
  }

  of(name: string | undefined): RunCgroup | undefined {
    return name === undefined ? undefined : this.#slots.get(name)?.cgroup;
  }

  /**
   * Calls `spawn` so that the child belongs to the cgroup. With version 1 this thread enters the cgroup, and the child inherits it. With version 2 the child is
   * moved after its start; processes that it forked before that are in the keeper's own cgroup, and are moved too.
   */
  spawnIn(name: string, spawn: () => number): number {
    if (this.#place.version === 2) {
      const pid = spawn();
      if (pid <= 0) return pid;
      try {
        this.#moveAll(name, pid);
      } catch (error) {
        this.#killChildren(pid);
        throw error;
      }
      return pid;
    }
    try {
      for (const dir of new RunCgroup(this.#place, name).dirs) writeTo(join(dir, "tasks"), "0");
      return spawn();
    } finally {
      for (const tasks of this.#home) writeSync(tasks, "0");
    }
  }

  /** To be called at the end of the run: kills what is left in the cgroup, and returns what the run used. */
  release(name: string): CgroupUse {
    const slot = this.#slots.get(name);
    if (!slot) return { cpuMs: undefined, oomKills: 0 };
    this.#slots.delete(name);
    const { cgroup } = slot;
    try {
      const { cpuMs, oomKills } = cgroup;
      const used = { cpuMs: cpuMs === undefined ? undefined : cpuMs - slot.cpuMs, oomKills: oomKills - slot.oomKills };
      slot.cpuMs = cpuMs ?? 0;
      slot.oomKills = oomKills;
      if (cgroup.isFrozen) cgroup.thaw();
      if (cgroup.isEmpty) this.#reuse(slot);
      else this.#drain(slot);
      return used;
    } catch {
      // The cgroup cannot be read, as without free descriptors. It is killed later, and not reused.
      slot.uses = maxUses;
      this.#drainLater(slot);
      return { cpuMs: undefined, oomKills: 0 };
    }
  }

  /** Removes the empty cgroups. */
  close(): void {
    clearTimeout(this.#timer);
    for (const { cgroup } of [...this.#free, ...this.#slots.values(), ...this.#draining]) cgroup.remove();
    const { main, memory, cpu } = this.#place;
    for (const dir of new Set([main, memory, cpu])) if (dir !== undefined) removeCgroupDir(dir);
  }

  #make(memoryBytes: number): Slot {
    const cgroup = new RunCgroup(this.#place, String((this.#last += 1)));
    try {
      cgroup.make(memoryBytes);
    } catch (error) {
      cgroup.remove();
      throw error;
    }
    return { cgroup, memoryBytes, uses: 0, cpuMs: 0, oomKills: 0 };
  }

  #reuse(slot: Slot): void {
    if (slot.uses >= maxUses) return slot.cgroup.remove();
    this.#free.push(slot);
    if (this.#free.length > maxFree) this.#free.shift()!.cgroup.remove();
  }

  #drain(slot: Slot): void {
    slot.cgroup.kill();
    this.#drainLater(slot);
  }

  #drainLater(slot: Slot): void {
    this.#draining.add(slot);
    this.#timer ??= setTimeout(() => this.#drainAll(), drainMs);
  }

  #drainAll(): void {
    this.#timer = undefined;
    const slots = [...this.#draining];
    this.#draining.clear();
    for (const slot of slots) {
      try {
        if (slot.cgroup.isEmpty) this.#reuse(slot);
        else this.#drain(slot);
      } catch {
        this.#drainLater(slot);
      }
    }
  }

  /** Kills a child that was not moved, with all that it forked: else they would be moved with the next run's. */
  #killChildren(child: number): void {
    const home = new RunCgroup(this.#place, homeName);
    for (let pass = 0, found = [child]; found.length > 0 && pass < killPasses; pass += 1) {
      for (const pid of found) kill(pid);
      found = home.members().filter((pid) => pid !== process.pid && isThere(pid));
    }
  }

  #moveAll(name: string, child: number): void {
    const target = join(this.#place.main, name, "cgroup.procs");
    const home = new RunCgroup(this.#place, homeName);
    for (let found = [child]; found.length > 0; found = home.members().filter((pid) => pid !== process.pid))
      for (const pid of found) writeTo(target, String(pid));
  }
}

/** Writes to a cgroup file. A process that has ended is no error. */
function writeTo(file: string, text: string): void {
  const opened = openSync(file, "w");
  try {
    writeSync(opened, text);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  } finally {
    closeSync(opened);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // ended
  }
}

/** A killed process stays a member until its parent has waited for it. */
const isThere = (pid: number): boolean => readProcess(pid)?.isZombie === false;
