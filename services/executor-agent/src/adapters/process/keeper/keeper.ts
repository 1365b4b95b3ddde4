import { existsSync, mkdirSync, statSync } from "node:fs";
import { uptime } from "node:os";
import { dirname } from "node:path";
import { childrenOf, continueRun, nameOf, runOf, sendTo, signalDescendants, signalTree, stopRun } from "./family.ts";
import { Leases } from "./leases.ts";
import { findCommand, spawnFailure } from "./launch-faults.ts";
import { reap, spawn } from "./native.ts";
import type { Reaped } from "./native.ts";
import { RunLanes } from "./run-lanes.ts";
import type { KeptExit, KeptFailure, KeptRun, RunSignal, StartRun } from "./protocol.ts";
import type { RecordFiles } from "./records.ts";

const startsATurn = 8;
const strayDelayMs = 200;

/** Starts processes, waits for them and remembers how they ended, until that is settled. It outlives its agent. */
export class Keeper {
  readonly #runs = new Map<string, KeptRun>();
  readonly #byPid = new Map<number, string>();
  readonly #queue: StartRun[] = [];
  readonly #lanes = new RunLanes<StartRun>();
  readonly #dirs = new Set<string>();
  readonly #leases = new Leases((key) => this.#freeze(key));
  readonly #records: RecordFiles;
  readonly #tell: (runs: readonly KeptRun[]) => void;
  /** Told that nothing is kept any more. */
  readonly #onEmpty: () => void;
  #starting = false;
  #strayTimer: NodeJS.Timeout | undefined;

  constructor(records: RecordFiles, tell: (runs: readonly KeptRun[]) => void, onEmpty: () => void) {
    this.#records = records;
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

  /** To be started next. That they are is recorded before any of them does; what only waits in its lane has not begun, and whoever finds no record of it may start it. */
  #enqueue(runs: readonly StartRun[]): void {
    this.#records.write(runs.map(({ k, o, r, m }) => ({ k, o, r, m })));
    this.#queue.push(...runs);
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
    if (signal === "STOP") stopRun(run.pid, key);
    else if (signal === "CONT") continueRun(run.pid, key);
    else {
      if (signal === "KILL") signalTree(run.pid, key, "SIGKILL");
      sendTo(-run.pid, `SIG${signal}`);
    }
    if (signal === "TERM" && (run.stopped || run.frozen)) continueRun(run.pid, key);
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
      if (run.pid && !run.stopped) continueRun(run.pid, k);
    }
  }

  /** No agent put its lease off: its task may soon run elsewhere. One that waits is stopped the moment it starts. */
  #freeze(key: string): void {
    const run = this.#runs.get(key);
    if (!run || (run.x ?? run.f)) return;
    if (run.pid) stopRun(run.pid, key);
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
      // One task is one computation: what it left running in its group ends with it, as in a container.
      sendTo(-child.pid, "SIGKILL");
      const over = { ...run, x: exitOf(child, run) };
      this.#runs.set(run.k, over);
      ended.push(over);
    }
    if (ended.length === 0) return;
    this.#note(ended);
    this.#startSome();
    if (this.#strayTimer === undefined) this.#strayTimer = setTimeout(() => this.#endStrays(), strayDelayMs);
  }

  #note(runs: readonly KeptRun[]): void {
    this.#records.write(runs.map(({ k, x, f }) => ({ k, ...(x ? { x } : {}), ...(f ? { f } : {}) })));
    this.#enqueue(runs.flatMap(({ k }) => this.#lanes.leave(k) ?? []));
    this.#tell(runs);
  }

  #failed(key: string, f: KeptFailure): KeptRun {
    this.#leases.delete(key);
    const failed = { ...(this.#runs.get(key) ?? { k: key, o: "", r: "", m: 0 }), f };
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
    const { k, c, e, t, d, o, r, m } = run;
    const fail = (code: string, message: string, host?: true): KeptFailure => ({
      at: Date.now(),
      code,
      message,
      ...(host ? { host } : {}),
    });
    try {
      this.#makeDirs(run);
    } catch (error) {
      return fail("TASK_DIR_FAILED", `the task's directory cannot be made or reached: ${codeOf(error)}`, true);
    }
    const workdir = d ?? t;
    if (d !== undefined && !statSync(d, { throwIfNoEntry: false })?.isDirectory())
      return fail("WORKDIR_NOT_FOUND", `${d} is not a directory here`);
    const env = Object.entries(e).map(([name, value]) => `${name}=${value}`);
    const [name = "", ...rest] = c;
    const path = findCommand(name, e["PATH"] ?? "");
    if (path === undefined) return fail("COMMAND_NOT_FOUND", `${name}: not found on PATH`);
    const files = { workdir, stdout: o, stderr: r };
    const at = Date.now();
    const boot = offset + performance.now();
    let pid = spawn(path, c, env, files);
    // A text without a #! line: what shells do with it.
    if (pid === -8) pid = spawn("/bin/sh", ["/bin/sh", path, ...rest], env, files);
    if (pid === -2 && !existsSync(dirname(o))) {
      this.#dirs.clear();
      this.#makeDirs(run);
      pid = spawn(path, c, env, files);
    }
    if (pid < 0) return spawnFailure(name, -pid, fail);
    this.#byPid.set(pid, k);
    const wasFrozen = this.#runs.get(k)?.frozen ?? false;
    this.#runs.set(k, { k, o, r, m, pid, at, boot });
    if (wasFrozen || this.#leases.hasPassed(k)) this.#freeze(k);
    return undefined;
  }

  /** The task's own directory, and once for many of an array those that they share. */
  #makeDirs({ t, o, r, a = t }: StartRun): void {
    for (const path of [dirname(o), dirname(r), a]) {
      if (path === t || this.#dirs.has(path)) continue;
      mkdirSync(path, { recursive: true, mode: 0o700 });
      if (this.#dirs.size > 10_000) this.#dirs.clear();
      this.#dirs.add(path);
    }
    mkdirSync(t, { recursive: true, mode: 0o700 });
  }

  /** Ends what left its run's process group and outlived the run: as this process is its parent now, it is found. */
  #endStrays(): void {
    this.#strayTimer = undefined;
    if (process.platform !== "linux") return;
    for (const pid of childrenOf(process.pid)) {
      if (this.#byPid.has(pid)) continue;
      const name = runOf(pid);
      const live = [...this.#byPid.values()].some((key) => nameOf(key) === name);
      if (live) continue;
      signalDescendants(pid, "SIGKILL");
      sendTo(pid, "SIGKILL");
    }
  }
}

function exitOf({ code, signal, cpuMs, maxResidentBytes }: Reaped, { o, r }: KeptRun): KeptExit {
  // Until it executes its program a child is this process in all but name, and its maximum counts that. Only what is above that is the program's own.
  const ownBytes = process.resourceUsage().maxRSS * 1024;
  return {
    at: Date.now(),
    ...(code === undefined ? {} : { code }),
    ...(signal === undefined ? {} : { signal }),
    cpuMs,
    ...(maxResidentBytes > ownBytes * 1.05 ? { peakBytes: maxResidentBytes } : {}),
    out: sizeOf(o),
    err: sizeOf(r),
  };
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);
