import { statSync } from "node:fs";
import { uptime } from "node:os";
import { Leases } from "./leases.ts";
import { hostFault } from "./launch-faults.ts";
import { launch } from "./launch.ts";
import { reap } from "./native.ts";
import type { AsUser, Reaped } from "./native.ts";
import { RunLanes } from "./run-lanes.ts";
import type { ExitRecord, FailureRecord, RunRecord, RunSignal, StartRun } from "./protocol.ts";
import type { RecordFiles } from "./records.ts";
import type { CgroupUse } from "./run-cgroups.ts";
import type { RunProcesses } from "./run-processes.ts";

const startsPerTurn = 8;

export interface KeeperParts {
  readonly records: RecordFiles;
  readonly processes: RunProcesses;
  /** Runs a function as the user of the tasks. */
  readonly asUser: AsUser;
  readonly report: (runs: readonly RunRecord[]) => void;
  /** Called when the keeper has no run left. */
  readonly onEmpty: () => void;
}

/** Starts processes, waits for them, and remembers their ends until the agent settles them. Outlives the agent. */
export class Keeper {
  readonly #runs = new Map<string, RunRecord>();
  readonly #byPid = new Map<number, string>();
  readonly #queue: StartRun[] = [];
  readonly #lanes = new RunLanes<StartRun>();
  readonly #dirs = new Set<string>();
  readonly #leases = new Leases((key) => this.#freeze(key));
  readonly #records: RecordFiles;
  readonly #processes: RunProcesses;
  readonly #asUser: AsUser;
  readonly #report: KeeperParts["report"];
  readonly #onEmpty: () => void;
  #starting = false;

  constructor({ records, processes, asUser, report, onEmpty }: KeeperParts) {
    this.#records = records;
    this.#processes = processes;
    this.#asUser = asUser;
    this.#report = report;
    this.#onEmpty = onEmpty;
  }

  get runs(): readonly RunRecord[] {
    return [...this.#runs.values()];
  }

  get isEmpty(): boolean {
    return this.#runs.size === 0;
  }

  /** Starts runs that it does not have yet. Each is recorded before it is started. */
  start(wanted: readonly StartRun[]): void {
    const fresh = wanted.filter(({ k }) => !this.#runs.has(k));
    for (const { k, o, r, m, u } of fresh) {
      this.#runs.set(k, { k, o, r, m });
      if (u !== undefined) this.#leases.set(k, u);
    }
    this.#enqueue(fresh.filter((run) => this.#lanes.enter(run, (key) => this.#isLive(key))));
    this.#startSome();
  }

  /** Whether each lane has runs waiting, so that the agent need not hear of ends at once. */
  get lanesAreStocked(): boolean {
    return this.#lanes.areStocked;
  }

  /** Takes back runs that wait in their lanes. */
  takeBack(keys: readonly string[]): void {
    const at = Date.now();
    const message = "the run before it took longer than expected";
    const taken = keys.filter((key) => this.#lanes.remove(key));
    if (taken.length > 0)
      this.#note(taken.map((key) => this.#failed(key, { at, code: "OVER_CAPACITY", message, host: true })));
  }

  #isLive(key: string): boolean {
    const run = this.#runs.get(key);
    return run !== undefined && !(run.x ?? run.f);
  }

  /**
   * Queues runs for the start, and records them with their cgroups. A run that waits in its lane is not recorded: if this keeper dies, the agent finds no
   * record of it and may start it again.
   */
  #enqueue(runs: readonly StartRun[]): void {
    const ready: StartRun[] = [];
    const failed: RunRecord[] = [];
    for (const run of runs) {
      try {
        const g = this.#processes.reserve(run.m);
        if (g !== undefined) this.#runs.set(run.k, { ...this.#runs.get(run.k)!, g });
        ready.push(run);
      } catch (error) {
        failed.push(
          this.#failed(run.k, hostFault("CGROUP_FAILED", `no cgroup can be made for it: ${messageOf(error)}`)),
        );
      }
    }
    const error = this.#records.write(ready.map(({ k, o, r, m }) => ({ k, o, r, m, ...groupOf(this.#runs.get(k)!) })));
    if (error) {
      const failure = hostFault("RECORD_FAILED", `its start cannot be recorded: ${messageOf(error)}`);
      failed.push(...ready.map(({ k }) => this.#failed(k, failure)));
    } else this.#queue.push(...ready);
    if (failed.length > 0) this.#note(failed);
  }

  signal(key: string, signal: RunSignal): void {
    const isEnd = signal === "TERM" || signal === "KILL";
    const queued = isEnd ? this.#queue.findIndex(({ k }) => k === key) : -1;
    if (queued >= 0 || (isEnd && this.#lanes.remove(key))) {
      if (queued >= 0) this.#queue.splice(queued, 1);
      this.#note([
        this.#failed(key, {
          at: Date.now(),
          code: "STOPPED_BEFORE_START",
          message: "stopped before it was started",
          host: true,
        }),
      ]);
      return;
    }
    const run = this.#runs.get(key);
    if (!run?.pid || run.x) return;
    if (signal === "STOP") this.#processes.stop(run);
    else if (signal === "CONT") this.#processes.continue(run);
    else this.#processes.signal(run, signal);
    if (signal === "TERM" && (run.stopped || run.frozen)) this.#processes.continue(run);
    // A run that was told to end must not be frozen by its lease.
    if (signal === "TERM") this.#leases.delete(key);
    if (signal !== "KILL")
      this.#runs.set(key, { ...run, stopped: signal === "STOP", frozen: signal === "STOP" && run.frozen === true });
  }

  /** Sets new ends of leases, and thaws runs that were frozen only by their lease. */
  extend(leases: readonly { readonly k: string; readonly u?: number }[]): void {
    for (const { k, u } of leases) {
      const run = this.#runs.get(k);
      if (!run || (run.x ?? run.f)) continue;
      this.#leases.set(k, u);
      if (!run.frozen || this.#leases.hasPassed(k)) continue;
      this.#runs.set(k, { ...run, frozen: false });
      if (run.pid && !run.stopped) this.#processes.continue(run);
    }
  }

  /** The lease of a run ended, so its task may soon run on another host. A run that waits is frozen when it starts. */
  #freeze(key: string): void {
    const run = this.#runs.get(key);
    if (!run || (run.x ?? run.f)) return;
    if (run.pid) this.#processes.stop(run);
    this.#runs.set(key, { ...run, frozen: true });
  }

  /** Forgets runs whose ends are stored for good. */
  settle(keys: readonly string[]): void {
    const gone = keys.filter((key) => {
      const run = this.#runs.get(key);
      return run && (run.x ?? run.f) && this.#runs.delete(key);
    });
    this.#records.write(gone.map((k) => ({ k, z: 1 })));
    this.#records.compact(this.#recorded(), this.#runs.size);
    if (this.isEmpty) this.#onEmpty();
  }

  /** All runs but those that wait in their lanes, because a recorded run counts as begun. */
  *#recorded(): Generator<RunRecord> {
    for (const run of this.#runs.values()) if (!this.#lanes.waits(run.k)) yield run;
  }

  /** Waits for all children that have ended. */
  reapAll(): void {
    const ended: RunRecord[] = [];
    for (let child = reap(); child; child = reap()) {
      const key = this.#byPid.get(child.pid);
      const run = key === undefined ? undefined : this.#runs.get(key);
      if (!run) continue; // an adopted orphan
      this.#byPid.delete(child.pid);
      this.#leases.delete(run.k);
      const over = { ...run, x: this.#exitOf(child, run, this.#processes.end(run)) };
      this.#runs.set(run.k, over);
      ended.push(over);
    }
    if (ended.length === 0) return;
    this.#note(ended);
    this.#startSome();
  }

  #note(runs: readonly RunRecord[]): void {
    this.#records.write(runs.map(({ k, x, f }) => ({ k, ...(x ? { x } : {}), ...(f ? { f } : {}) })));
    this.#enqueue(runs.flatMap(({ k }) => this.#lanes.leave(k) ?? []));
    this.#report(runs);
  }

  #failed(key: string, f: FailureRecord): RunRecord {
    this.#leases.delete(key);
    const run = this.#runs.get(key) ?? { k: key, o: "", r: "", m: 0 };
    if (run.g !== undefined) this.#processes.end(run);
    const failed = { ...run, f };
    this.#runs.set(key, failed);
    return failed;
  }

  /** Starts a few runs per turn of the event loop, because each start blocks it until the program is executed. */
  #startSome(): void {
    if (this.#starting || this.#queue.length === 0) return;
    const offset = uptime() * 1000 - performance.now();
    const started: RunRecord[] = [];
    for (const run of this.#queue.splice(0, startsPerTurn)) {
      const failure = this.#startOne(run, offset);
      if (failure) this.#note([this.#failed(run.k, failure)]);
      else started.push(this.#runs.get(run.k)!);
    }
    this.#records.write(started.map(({ k, pid, at, boot }) => ({ k, pid: pid!, at: at!, boot: boot! })));
    if (started.length > 0) this.#report(started);
    if (this.#queue.length === 0) return;
    this.#starting = true;
    setImmediate(() => {
      this.#starting = false;
      this.#startSome();
    });
  }

  #startOne(run: StartRun, offset: number): FailureRecord | undefined {
    const kept = this.#runs.get(run.k)!;
    const at = Date.now();
    const boot = offset + performance.now();
    let failure: FailureRecord | undefined;
    let pid = 0;
    try {
      pid = this.#processes.spawnIn(kept, () =>
        this.#asUser(() => {
          const started = launch(run, this.#dirs);
          if (typeof started === "number") return started;
          failure = started;
          return 0;
        }),
      );
    } catch (error) {
      return hostFault("NOT_PREPARED", `it could not be started here: ${messageOf(error)}`);
    }
    if (failure) return failure;
    this.#byPid.set(pid, run.k);
    const wasFrozen = kept.frozen ?? false;
    this.#runs.set(run.k, { ...kept, pid, at, boot });
    if (wasFrozen || this.#leases.hasPassed(run.k)) this.#freeze(run.k);
    return undefined;
  }

  #exitOf({ code, signal, cpuMs, maxResidentBytes }: Reaped, { o, r }: RunRecord, used: CgroupUse): ExitRecord {
    // Before it executes its program, a child shares the memory of the keeper, and the kernel counts that in the child's maximum. Only a maximum above it is the program's own.
    const ownBytes = process.resourceUsage().maxRSS * 1024;
    const [out, err] = this.#asUser(() => [sizeOf(o), sizeOf(r)]);
    return {
      at: Date.now(),
      ...(code === undefined ? {} : { code }),
      ...(signal === undefined ? {} : { signal }),
      // wait4 does not count processes that no parent waited for; the cgroup does.
      cpuMs: Math.max(cpuMs, Math.round(used.cpuMs ?? 0)),
      ...(maxResidentBytes > ownBytes * 1.05 ? { peakBytes: maxResidentBytes } : {}),
      ...(used.oomKills > 0 ? { oom: used.oomKills } : {}),
      out,
      err,
    };
  }
}

const groupOf = ({ g }: RunRecord): { readonly g?: string } => (g === undefined ? {} : { g });

/** Size of an output file; 0 if the user made it unreadable, because that must not end the keeper. */
function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);
