import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CgroupPlace } from "./protocol.ts";

/** With version 2 the keeper is in a cgroup of its own beside those of its runs, and its children start in it. */
export const homeName = "keeper";

/** A process forked during one pass is listed in the next. */
const killPasses = 3;

/**
 * The cgroups of one run: one directory of the same name in each hierarchy. The kernel puts every descendant of a member into the same cgroup, and the files
 * are root's, so no task can leave it or bring another's process into it. Written to by the keeper, and by the agent once the keeper is dead.
 */
export class RunCgroup {
  readonly name: string;
  readonly #place: CgroupPlace;
  readonly #dir: string;
  #frozen = false;

  constructor(place: CgroupPlace, name: string) {
    this.name = name;
    this.#place = place;
    this.#dir = join(place.main, name);
  }

  /** Makes its directories and sets the memory limit where memory can be limited. Throws the system's error. */
  make(memoryBytes: number): void {
    const { version, memory } = this.#place;
    for (const dir of this.dirs) mkdirSync(dir, { recursive: true, mode: 0o755 });
    if (memory === undefined) return;
    const dir = join(memory, this.name);
    if (version === 1) {
      writeFileSync(join(dir, "memory.limit_in_bytes"), String(memoryBytes));
      // This file is missing if the kernel does not count swap.
      tryWrite(join(dir, "memory.memsw.limit_in_bytes"), String(memoryBytes));
    } else {
      writeFileSync(join(dir, "memory.max"), String(memoryBytes));
      tryWrite(join(dir, "memory.swap.max"), "0");
    }
  }

  get dirs(): string[] {
    const { main, memory, cpu } = this.#place;
    return [...new Set([main, memory, cpu].filter((dir) => dir !== undefined))].map((dir) => join(dir, this.name));
  }

  /** Pids of its processes; none where it does not exist. Throws where the system cannot say, as without free descriptors. */
  members(): number[] {
    return readIfThere(join(this.#dir, "cgroup.procs")).split("\n").filter(Boolean).map(Number);
  }

  /** Whether no process is left. */
  get isEmpty(): boolean {
    if (this.#place.version === 1) return readIfThere(join(this.#dir, "cgroup.procs")) === "";
    return !readIfThere(join(this.#dir, "cgroup.events")).includes("populated 1");
  }

  /** Freezes its processes. SIGCONT does not resume them. */
  freeze(): void {
    this.#setFrozen(true);
  }

  thaw(): void {
    this.#setFrozen(false);
  }

  /** Whether the kernel holds it to its memory limit. */
  get limitsMemory(): boolean {
    return this.#place.memory !== undefined;
  }

  /** Whether this object froze it. */
  get isFrozen(): boolean {
    return this.#frozen;
  }

  /** Kills its processes. One forked during the call may be left, so repeat until the cgroup is empty. */
  kill(): void {
    if (this.#place.version === 2 && tryWrite(join(this.#dir, "cgroup.kill"), "1")) return;
    // A frozen process can neither fork nor end, so no pid is reused between reading the list and sending the signal.
    this.freeze();
    for (let pass = 0; pass < killPasses; pass += 1) this.#signalAll(this.members(), "SIGKILL");
    this.thaw();
  }

  /** Signals the processes outside the process group `group`, which the caller signals as a whole. */
  signalOutside(group: number, signal: NodeJS.Signals): void {
    this.#signalAll(
      this.members().filter((pid) => groupOf(pid) !== group),
      signal,
    );
  }

  /** Cpu time of all processes that ever were in it. */
  get cpuMs(): number | undefined {
    const { version, cpu } = this.#place;
    if (cpu === undefined) return undefined;
    if (version === 1) return Number(readIfThere(join(cpu, this.name, "cpuacct.usage"))) / 1e6;
    return Number(/^usage_usec (\d+)/m.exec(readIfThere(join(this.#dir, "cpu.stat")))?.[1] ?? 0) / 1000;
  }

  /** How many of its processes the kernel killed at the memory limit. */
  get oomKills(): number {
    const { version, memory } = this.#place;
    if (memory === undefined) return 0;
    const file = join(memory, this.name, version === 1 ? "memory.oom_control" : "memory.events");
    return Number(/^oom_kill (\d+)/m.exec(readIfThere(file))?.[1] ?? 0);
  }

  /** Removes it where it is empty. */
  remove(): void {
    for (const dir of this.dirs) removeCgroupDir(dir);
  }

  #setFrozen(frozen: boolean): void {
    this.#frozen = frozen;
    if (this.#place.version === 1) tryWrite(join(this.#dir, "freezer.state"), frozen ? "FROZEN" : "THAWED");
    else tryWrite(join(this.#dir, "cgroup.freeze"), frozen ? "1" : "0");
  }

  #signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended.
      }
    }
  }
}

/** Removes the directory of a cgroup; one that has members, or is gone, stays as it is. */
export function removeCgroupDir(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // removed before, or not empty
  }
}

function tryWrite(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { flag: "r+" });
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (isGone(error)) return "";
    throw error;
  }
}

/** ENODEV: the cgroup was removed while its file was open. */
const isGone = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENODEV");

function groupOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]);
  } catch {
    return undefined;
  }
}
