import { statSync } from "node:fs";
import { uptime } from "node:os";
import { Leases } from "./leases.ts";
import { hostFault } from "./launch-faults.ts";
import { launch } from "./launch.ts";
import { reap } from "./native.ts";
import type { AsUser, Reaped } from "./native.ts";
import { RunLanes } from "./run-lanes.ts";
import type { KeptExit, KeptFailure, KeptRun, RunSignal, StartRun } from "./protocol.ts";
import type { RecordFiles } from "./records.ts";
import type { CgroupUse } from "./run-cgroups.ts";
import type { RunProcesses } from "./run-processes.ts";

const startsATurn = 8;

export interface KeeperParts {
  readonly records: RecordFiles;
  readonly processes: RunProcesses;
  /** As whom directories are made and programs are started. */
  readonly asUser: AsUser;
  readonly tell: (runs: readonly KeptRun[]) => void;
  /** Told that nothing is kept any more. */
  readonly onEmpty: () => void;
}

/** Starts processes, waits for them and remembers how they ended, until that is settled. It outlives its agent. */
export class Keeper {
  readonly #runs = new Map<string, KeptRun>();
  readonly #byPid = new Map<number, string>();
  readonly #queue: StartRun[] = [];
  readonly #lanes = new RunLanes<StartRun>();
  readonly #dirs = new Set<string>();
  readonly #leases = new Leases((key) => this.#freeze(key));
  readonly #records: RecordFiles;
  readonly #processes: RunProcesses;
  readonly #asUser: AsUser;
  readonly #tell: KeeperParts["tell"];
  readonly #onEmpty: () => void;
  #starting = false;

  constructor({ records, processes, asUser, tell, onEmpty }: KeeperParts) {
    this.#records = records;
    this.#processes = processes;
    this.#asUser = asUser;
    this.#tell = tell;
    this.#onEmpty = onEmpty;
  }

  get runs(): readonly KeptRun[] {
    return [...this.#runs.values()];
  }

  get isEmpty(): boolean {
    return this.#runs.size === 0;
  }

  /** Starts runs that it does not have yet. That they are to start is recorded before any of them does. */
  start(wanted: readonly StartRun[]): void {
    const fresh = wanted.filter(({ k }) => !this.#runs.has(k));
    for (const { k, o, r, m, u } of fresh) {
      this.#runs.set(k, { k, o, r, m });
      if (u !== undefined) this.#leases.set(k, u);
    }
    this.#enqueue(fresh.filter((run) => this.#lanes.enter(run, (key) => this.#isLive(key))));
    this.#startSome();
  }

  /** Whether each lane has something to go on with, so that ends need not be told at once. */
  get hasNext(): boolean {
    return this.#lanes.areStocked;
  }

  /** Those that wait behind others do not start. */
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
   * To be started next. That they are, and in which cgroup, is recorded before any of them does; a run that only waits in its lane has not begun, and an agent
   * that finds no record of it may start it.
   */
  #enqueue(runs: readonly StartRun[]): void {
    const ready: StartRun[] = [];
    const failed: KeptRun[] = [];
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
    // It was told to end: it is to be able to.
    if (signal === "TERM") this.#leases.delete(key);
    if (signal !== "KILL")
      this.#runs.set(key, { ...run, stopped: signal === "STOP", frozen: signal === "STOP" && run.frozen === true });
  }

  /** Puts leases off; what stands still only for the want of that goes on. */
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

  /** No agent put its lease off: its task may soon run elsewhere. One that waits is stopped the moment it starts. */
  #freeze(key: string): void {
    const run = this.#runs.get(key);
    if (!run || (run.x ?? run.f)) return;
    if (run.pid) this.#processes.stop(run);
    this.#runs.set(key, { ...run, frozen: true });
  }

  /** Their ends are stored for good. */
  settle(keys: readonly string[]): void {
    const gone = keys.filter((key) => {
      const run = this.#runs.get(key);
      return run && (run.x ?? run.f) && this.#runs.delete(key);
    });
    this.#records.write(gone.map((k) => ({ k, z: 1 })));
    this.#records.compact(this.#recorded(), this.#runs.size);
    if (this.isEmpty) this.#onEmpty();
  }

  /** All but those that wait in their lanes: a record of one would say that it may have begun. */
  *#recorded(): Generator<KeptRun> {
    for (const run of this.#runs.values()) if (!this.#lanes.waits(run.k)) yield run;
  }

  /** Takes note of all children that have ended. */
  reapAll(): void {
    const ended: KeptRun[] = [];
    for (let child = reap(); child; child = reap()) {
      const key = this.#byPid.get(child.pid);
      const run = key === undefined ? undefined : this.#runs.get(key);
      if (!run) continue; // a stray that was taken over
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

  #note(runs: readonly KeptRun[]): void {
    this.#records.write(runs.map(({ k, x, f }) => ({ k, ...(x ? { x } : {}), ...(f ? { f } : {}) })));
    this.#enqueue(runs.flatMap(({ k }) => this.#lanes.leave(k) ?? []));
    this.#tell(runs);
  }

  #failed(key: string, f: KeptFailure): KeptRun {
    this.#leases.delete(key);
    const run = this.#runs.get(key) ?? { k: key, o: "", r: "", m: 0 };
    if (run.g !== undefined) this.#processes.end(run);
    const failed = { ...run, f };
    this.#runs.set(key, failed);
    return failed;
  }

  /** A few at a time: each blocks until its program is executed, and ends want to be seen meanwhile. */
  #startSome(): void {
    if (this.#starting || this.#queue.length === 0) return;
    const offset = uptime() * 1000 - performance.now();
    const started: KeptRun[] = [];
    for (const run of this.#queue.splice(0, startsATurn)) {
      const failure = this.#startOne(run, offset);
      if (failure) this.#note([this.#failed(run.k, failure)]);
      else started.push(this.#runs.get(run.k)!);
    }
    this.#records.write(started.map(({ k, pid, at, boot }) => ({ k, pid: pid!, at: at!, boot: boot! })));
    if (started.length > 0) this.#tell(started);
    if (this.#queue.length === 0) return;
    this.#starting = true;
    setImmediate(() => {
      this.#starting = false;
      this.#startSome();
    });
  }

  #startOne(run: StartRun, offset: number): KeptFailure | undefined {
    const kept = this.#runs.get(run.k)!;
    const at = Date.now();
    const boot = offset + performance.now();
    let failure: KeptFailure | undefined;
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

  #exitOf({ code, signal, cpuMs, maxResidentBytes }: Reaped, { o, r }: KeptRun, used: CgroupUse): KeptExit {
    // Until it executes its program a child is this process in all but name, and its maximum counts that. Only what is above that is the program's own.
    const ownBytes = process.resourceUsage().maxRSS * 1024;
    const [out, err] = this.#asUser(() => [sizeOf(o), sizeOf(r)]);
    return {
      at: Date.now(),
      ...(code === undefined ? {} : { code }),
      ...(signal === undefined ? {} : { signal }),
      // A process that nobody waited for counts in its cgroup only.
      cpuMs: Math.max(cpuMs, Math.round(used.cpuMs ?? 0)),
      ...(maxResidentBytes > ownBytes * 1.05 ? { peakBytes: maxResidentBytes } : {}),
      ...(used.oomKills > 0 ? { oom: used.oomKills } : {}),
      out,
      err,
    };
  }
}

const groupOf = ({ g }: KeptRun): { readonly g?: string } => (g === undefined ? {} : { g });

/** A file that its user put out of reach has no size: a fault of theirs is not to end the keeper. */
function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);
