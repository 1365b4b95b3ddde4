import { parseSimCommand, RunLanes } from "@berth/executor-agent/parts";
import type { SimPlan } from "@berth/executor-agent/parts";
import { runKey, runRefusal } from "@berth/core";
import type { Resources, Run, RunRefusalCode } from "@berth/core";
import type { Driver, DriverEvent, Feature, TaskToRun } from "@berth/plugins";
import { isRunnable } from "./process.ts";
import type { MachineWatch, Process } from "./process.ts";
import type { Random } from "./random.ts";
import { Life } from "./time.ts";
import type { VirtualTime } from "./time.ts";

const features: ReadonlySet<Feature> = new Set<Feature>(["memory", "cpu", "suspend", "cpu_time", "peak_memory"]);
/** Of an engine that starts the next of a lane by itself, as a keeper does. */
const laneFeatures: ReadonlySet<Feature> = new Set<Feature>([...features, "lanes"]);
const unableAttempts = 2;
const startMs = { low: 1, high: 200 } as const;

/** A host's machine with its engine: what runs on it lives and dies with its power, not with its agent. */
export class Machine {
  readonly hostId: string;
  readonly capacity: Resources;
  readonly processes = new Map<string, Process>();
  power: Life;
  boots = 1;
  bootedAtMs = 0;
  /** Whether its engine freezes runs by itself at the end of their lease, as a keeper does; else only its agent can. */
  readonly keepsLeases: boolean;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #watch: MachineWatch;
  #lanes = new RunLanes<{ readonly k: string; readonly l?: string; readonly process: Process }>();
  #tell: (event: DriverEvent) => void = () => {};

  constructor(hostId: string, capacity: Resources, time: VirtualTime, random: Random, watch: MachineWatch) {
    this.hostId = hostId;
    this.capacity = capacity;
    this.#time = time;
    this.#random = random;
    this.#watch = watch;
    this.power = new Life(`machine ${hostId}`);
    this.keepsLeases = random.chance(0.5);
  }

  get bootId(): string {
    return `boot-${this.boots}`;
  }

  /** What makes progress now. */
  *running(): Generator<Process> {
    for (const process of this.processes.values()) if (process.phase === "running") yield process;
  }

  /** A power failure: every process is gone. The engine still knows some of the runs, and how the ended ones ended. */
  powerOff(): void {
    this.power.kill();
    this.#lanes = new RunLanes();
    for (const [key, process] of this.processes) {
      if (process.phase === "over") continue;
      const began = process.phase === "running";
      this.#stand(process);
      process.phase = "over";
      if (began) this.#watch.ended(process);
      if (!began || this.#random.chance(0.5)) this.processes.delete(key);
      else
        process.end = {
          kind: "lost",
          run: process.run,
          at: this.#now(),
          startedAt: process.startedAt,
          reason: { code: "ENGINE_RESTARTED", message: "as simulated" },
        };
    }
  }

  powerOn(): void {
    this.power = new Life(`machine ${this.hostId}`);
    this.boots += 1;
    this.bootedAtMs = this.#time.nowMs;
  }

  /** The engine as one agent uses it. */
  driver(agent: Life): Driver {
    const time = this.#time;
    const find = (run: Run): Process | undefined => (agent.alive ? this.processes.get(runKey(run)) : undefined);
    const waiting: DriverEvent[] = [];
    let wake: (() => void) | undefined;
    const tell = (event: DriverEvent): void => {
      waiting.push(event);
      wake?.();
    };
    async function* events(first: readonly DriverEvent[], signal: AbortSignal): AsyncGenerator<readonly DriverEvent[]> {
      signal.addEventListener("abort", () => wake?.());
      yield first;
      while (!signal.aborted) {
        if (waiting.length > 0) yield waiting.splice(0);
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    }
    const pause = async (run: Run, paused: boolean): Promise<void> => {
      const process = find(run);
      if (process?.phase !== "running") return;
      this.#change(process, paused, paused && process.frozen);
    };
    return {
      getName: () => "sim",
      features: () => (this.keepsLeases ? laneFeatures : features),
      open: async () => {
        this.#tell = (event) => void time.at(agent, this.#random.spread(0.1, 10), () => tell(event));
      },
      close: async () => {},
      capacity: () => this.capacity,
      runTasks: async (tasks) => tasks.forEach((task) => agent.alive && this.#take(task)),
      runAllTasks: async (tasks) => tasks.forEach((task) => agent.alive && this.#take(task)),
      watchTasks: (signal) => {
        const there = [...this.processes.values()];
        for (const { end } of there) if (end) waiting.push(end);
        return events(
          there.map((process) => ({
            kind: "found",
            run: process.run,
            startedAt: process.startedAt,
            suspended: !isRunnable(process),
            leased: process.leased,
          })),
          signal,
        );
      },
      ...(this.keepsLeases && {
        extendLeases: (leases: Parameters<NonNullable<Driver["extendLeases"]>>[0]) => {
          for (const { run, untilBootMs } of leases) {
            const process = find(run);
            if (process && process.phase !== "over") this.#lease(process, untilBootMs);
          }
        },
      }),
      killTask: async (run, signal) => {
        const process = find(run);
        if (!process || process.phase === "over") return;
        if (process.phase === "starting") return this.#stopBeforeStart(process);
        if (signal === "KILL") return this.#end(process, 9);
        if (process.lease) process.lease.cancelled = true; // it was told to end: it is to be able to
        this.#change(process, false, false);
        if (!process.plan.ignoresTerm) this.#end(process, 15);
      },
      takeBack: async (runs) => {
        for (const run of runs) {
          const process = find(run);
          if (process && this.#lanes.remove(runKey(run))) this.#giveBack(process, "OVER_CAPACITY");
        }
      },
      suspendTask: (run) => pause(run, true),
      resumeTask: (run) => pause(run, false),
      getMappingPort: async () => undefined,
      usage: async () => undefined,
      settle: async (runs) => {
        for (const run of runs) {
          const process = find(run);
          if (!process) continue;
          // Settled although it runs: it continues unknown to its agent. The world reports it as an orphan.
          if (process.phase === "over") this.processes.delete(runKey(run));
        }
      },
    };
  }

  #now(): Date {
    return new Date(this.#time.wallMs(this.power));
  }

  /** The start is recorded first: a second telling changes nothing. */
  #take({ run, command, resources, leaseUntilBootMs, lane }: TaskToRun): void {
    const key = runKey(run);
    if (this.processes.has(key) || !this.power.alive) return;
    const asked = parseSimCommand(command, 0);
    // Not for ever: it would be tried for longer than a world has.
    const able = (asked.end.kind === "unable" || asked.end.kind === "lost") && run.attempt > unableAttempts;
    const plan: SimPlan = able ? { ...asked, end: { kind: "exit", code: 0 } } : asked;
    const process: Process = {
      run,
      resources,
      plan,
      hostId: this.hostId,
      phase: "starting",
      paused: false,
      frozen: false,
      lease: undefined,
      leased: leaseUntilBootMs !== undefined && !this.keepsLeases,
      startedAt: undefined,
      remainingMs: plan.durationMs,
      resumedAtMs: 0,
      progressMs: 0,
      timer: undefined,
      end: undefined,
    };
    this.processes.set(key, process);
    if (this.keepsLeases) this.#lease(process, leaseUntilBootMs);
    const isLive = (other: string): boolean => (this.processes.get(other)?.phase ?? "over") !== "over";
    if (this.#lanes.enter({ k: key, ...(lane === undefined ? {} : { l: lane }), process }, isLive))
      this.#start(process);
  }

  #start(process: Process): void {
    const { run, plan } = process;
    process.timer = this.#time.at(this.power, this.#random.spread(startMs.low, startMs.high), () => {
      if (plan.end.kind === "failed" || plan.end.kind === "unable") {
        process.phase = "over";
        const about = { run, at: this.#now() };
        const { kind, code } = plan.end;
        return kind === "unable"
          ? this.#say(process, { kind, ...about, reason: runRefusal(code, "as simulated") })
          : this.#say(process, { kind, ...about, reason: { code, message: "as simulated" } });
      }
      process.phase = "running";
      process.startedAt = this.#now();
      this.#watch.began(process);
      this.#tell({ kind: "started", run, at: process.startedAt });
      if (isRunnable(process)) this.#go(process);
    });
  }

  /** At that time it freezes by itself. A run that was frozen only by its lease continues when the lease is renewed. */
  #lease(process: Process, untilBootMs: number | undefined): void {
    if (process.lease) process.lease.cancelled = true;
    const inMs = (untilBootMs ?? Infinity) - (this.#time.nowMs - this.bootedAtMs);
    this.#change(process, process.paused, inMs <= 0);
    process.lease =
      inMs > 0 && inMs < Infinity
        ? this.#time.at(this.power, inMs, () => this.#change(process, process.paused, true))
        : undefined;
  }

  #change(process: Process, paused: boolean, frozen: boolean): void {
    const went = isRunnable(process);
    const running = process.phase === "running";
    if (running && went && (paused || frozen)) this.#stand(process);
    process.paused = paused;
    process.frozen = frozen;
    if (running && !went && isRunnable(process)) this.#go(process);
  }

  #stopBeforeStart(process: Process): void {
    if (process.timer) process.timer.cancelled = true;
    this.#lanes.remove(runKey(process.run));
    this.#giveBack(process, "STOPPED_BEFORE_START");
  }

  #giveBack(process: Process, code: RunRefusalCode): void {
    process.phase = "over";
    const reason = runRefusal(code, "as simulated");
    this.#say(process, { kind: "unable", run: process.run, at: this.#now(), reason });
  }

  #go(process: Process): void {
    process.resumedAtMs = this.#time.nowMs;
    process.timer = this.#time.at(this.power, process.remainingMs, () => this.#end(process, undefined));
    this.#watch.isRunnable(process);
  }

  /** It makes no progress any more. */
  #stand(process: Process): void {
    if (process.timer) process.timer.cancelled = true;
    process.timer = undefined;
    if (process.phase !== "running" || !isRunnable(process)) return;
    const since = this.#time.nowMs - process.resumedAtMs;
    process.progressMs += since;
    process.remainingMs = Math.max(0, process.remainingMs - since);
  }

  #end(process: Process, killedBy: number | undefined): void {
    const { run, plan, startedAt } = process;
    this.#stand(process);
    process.phase = "over";
    if (process.lease) process.lease.cancelled = true;
    this.#watch.ended(process);
    const at = this.#now();
    const its = killedBy === undefined ? plan.end : undefined;
    if (its?.kind === "lost") {
      const reason = { code: its.code, message: "as simulated" };
      return this.#say(process, { kind: "lost", run, at, startedAt, reason });
    }
    this.#say(process, {
      kind: "ended",
      run,
      startedAt,
      at,
      exitCode: its?.kind === "exit" ? its.code : undefined,
      signal: killedBy ?? (its?.kind === "signal" ? its.signal : its?.kind === "oom" ? 9 : undefined),
      outOfMemory: its?.kind === "oom",
      usage: { cpuMs: Math.round(process.progressMs), peakMemoryBytes: 1_000_000 },
      stdoutBytes: 0,
      stderrBytes: 0,
    });
  }

  #say(process: Process, end: DriverEvent): void {
    process.end = end;
    this.#watch.told(process);
    this.#tell(end);
    const next = this.#lanes.leave(runKey(process.run));
    if (next) this.#start(next.process);
  }
}
