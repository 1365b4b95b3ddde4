import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { RunCgroup, homeName, removeCgroupDir } from "./cgroup.ts";
import type { CgroupPlace } from "./protocol.ts";

/** Kept for later runs of the same limit: making and removing one costs a quarter of a short task. */
const maxFree = 64;
/** Memory that the kernel charged to it and does not give back adds up, so a cgroup is used this often at most. */
const maxUses = 500;
const drainMs = 50;

interface Slot {
  readonly cgroup: RunCgroup;
  readonly memoryBytes: number;
  uses: number;
  /** What earlier runs in it had used. */
  cpuMs: number;
  oomKills: number;
}

/** What a run used, by its cgroup. */
export interface CgroupUse {
  readonly cpuMs: number | undefined;
  readonly oomKills: number;
}

/** One cgroup for each live run of a keeper. A cgroup serves one run after the other, but only once no process of the earlier one is left. */
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

  /** A cgroup without processes, with this memory limit: its name. Throws the system's error where none can be made. */
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
   * Calls `spawn`, whose child begins in that cgroup. With version 1 this thread enters it and the child inherits that. With version 2 the child is moved after
   * its start: what it forked before is still in the keeper's cgroup, where nothing but the keeper may be, and is moved after it.
   */
  spawnIn(name: string, spawn: () => number): number {
    if (this.#place.version === 2) {
      const pid = spawn();
      if (pid <= 0) return pid;
      try {
        this.#moveAll(name, pid);
      } catch (error) {
        process.kill(pid, "SIGKILL");
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

  /** Its run is over: ends what is left in it, and says what the run used. */
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
      // No descriptor is free. What is in it is ended as soon as there is one, and it is not used again.
      slot.uses = maxUses;
      this.#drainLater(slot);
      return { cpuMs: undefined, oomKills: 0 };
    }
  }

  /** Removes all that are empty. */
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

  #moveAll(name: string, child: number): void {
    const target = join(this.#place.main, name, "cgroup.procs");
    const home = new RunCgroup(this.#place, homeName);
    for (let found = [child]; found.length > 0; found = home.members().filter((pid) => pid !== process.pid))
      for (const pid of found) writeTo(target, String(pid));
  }
}

/** A process that is gone meanwhile is no error. */
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
