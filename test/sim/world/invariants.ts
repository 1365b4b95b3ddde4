import type { Database } from "@berth/database";
import type { Client } from "./client.ts";
import type { Machine } from "./machine.ts";
import { isRunnable } from "./process.ts";
import type { MachineWatch, Process } from "./process.ts";
import { codes, isLiveRow, readArrays, readCounts, readCpuMilli, readLoad, readTruth } from "./truth.ts";
import type { TruthRow } from "./truth.ts";

export interface InvariantDeps {
  readonly database: Database;
  readonly client: Client;
  readonly machines: ReadonlyMap<string, Machine>;
  /** Whether these attempts of one task may make progress at the same time, by the declared window. */
  readonly mayOverlap: (processes: readonly Process[]) => boolean;
  readonly problem: (invariant: string, what: string) => void;
}

const name = ({ run, hostId }: Process): string => `${run.taskId}#${run.attempt}@${hostId}`;

/** What must hold after each step, each on its own. */
export class Invariants implements Pick<MachineWatch, "began" | "isRunnable"> {
  readonly #w: InvariantDeps;
  #truth = new Map<string, TruthRow>();
  /** Ended elements that have no record of their own any more. */
  readonly folded = new Map<string, TruthRow>();
  readonly #limits = new Map<number, number>();
  /** Runs that were ever made a process. */
  readonly begun = new Set<string>();

  constructor(deps: InvariantDeps) {
    this.#w = deps;
  }

  get truth(): ReadonlyMap<string, TruthRow> {
    return this.#truth;
  }

  /** After each commit of the database. */
  onCommit(): void {
    const before = this.#truth;
    const now = readTruth(this.#w.database);
    this.acknowledgedTasksExist(now);
    this.terminalStatesNeverChange(before, now);
    this.attemptsOnlyGrow(before, now);
    this.sumsAreRight(now);
    this.arraysKeepTheirLimit(before, now);
    this.#truth = now;
  }

  began(process: Process): void {
    this.runsBeginOnce(process);
    this.childrenWaitForTheirParents(process);
    this.hostsAreNotOverfull(process);
  }

  isRunnable(process: Process): void {
    this.oneAttemptMakesProgress(process);
  }

  /** Every acknowledged task exists. */
  acknowledgedTasksExist(now: ReadonlyMap<string, TruthRow>): void {
    for (const id of this.#w.client.told.acknowledged.keys())
      if (!now.has(id)) this.#w.problem("acknowledgedTasksExist", `task ${id} was acknowledged and is not there`);
  }

  /** What is over stays as it ended; only an element may go into its array's chunk. */
  terminalStatesNeverChange(before: ReadonlyMap<string, TruthRow>, now: ReadonlyMap<string, TruthRow>): void {
    for (const [id, was] of before) {
      const is = now.get(id);
      if (!is) {
        if (was.state < codes.over || was.idx < 0)
          this.#w.problem("terminalStatesNeverChange", `the record of ${id} is gone`);
        this.folded.set(id, was);
        continue;
      }
      if (was.state < codes.over) continue;
      if (is.state < was.state || is.outcome !== was.outcome || is.attempt !== was.attempt)
        this.#w.problem(
          "terminalStatesNeverChange",
          `${id} was ${was.state}/${was.outcome}#${was.attempt} and is ${is.state}/${is.outcome}#${is.attempt}`,
        );
    }
  }

  /** Attempts are never undone, and none is skipped. */
  attemptsOnlyGrow(before: ReadonlyMap<string, TruthRow>, now: ReadonlyMap<string, TruthRow>): void {
    for (const [id, is] of now) {
      if (this.folded.has(id)) this.#w.problem("attemptsOnlyGrow", `${id} was folded, and has a record again`);
      const was = before.get(id)?.attempt ?? 0;
      if (is.attempt < was || is.attempt > was + 1)
        this.#w.problem("attemptsOnlyGrow", `${id} went from attempt ${was} to ${is.attempt}`);
    }
  }

  /** The stored sums equal the sums of the records. */
  sumsAreRight(now: ReadonlyMap<string, TruthRow>): void {
    const cpu = readCpuMilli(this.#w.database);
    const load = new Map<string, { live: number; cpuMilli: number }>();
    for (const row of now.values()) {
      if (!isLiveRow(row)) continue;
      const sum = load.get(row.host) ?? { live: 0, cpuMilli: 0 };
      load.set(row.host, { live: sum.live + 1, cpuMilli: sum.cpuMilli + (cpu.get(row.number) ?? 0) });
    }
    for (const [host, kept] of readLoad(this.#w.database)) {
      const real = load.get(host) ?? { live: 0, cpuMilli: 0 };
      load.delete(host);
      if (kept.live !== real.live || kept.cpuMilli !== real.cpuMilli)
        this.#w.problem("sumsAreRight", `${host} carries ${JSON.stringify(real)}, and ${JSON.stringify(kept)} is kept`);
    }
    for (const host of load.keys()) this.#w.problem("sumsAreRight", `nothing is kept of what ${host} carries`);
    for (const [state, count] of readCounts(this.#w.database))
      if (count < 0) this.#w.problem("sumsAreRight", `${count} tasks are in state ${state}`);
  }

  /**
   * An array's live elements stay within its limit, and its counters equal those of its elements. A lower limit stops no run, and may come in the same commit
   * as placements made before it.
   */
  arraysKeepTheirLimit(before: ReadonlyMap<string, TruthRow>, now: ReadonlyMap<string, TruthRow>): void {
    const liveOf = (rows: ReadonlyMap<string, TruthRow>, number: number): number =>
      [...rows.values()].filter((row) => row.number === number && isLiveRow(row)).length;
    for (const array of readArrays(this.#w.database)) {
      const live = liveOf(now, array.number);
      if (live !== array.live)
        this.#w.problem("arraysKeepTheirLimit", `array ${array.number} has ${live} live, and says ${array.live}`);
      const sameLimit = this.#limits.get(array.number) === array.maxLive;
      this.#limits.set(array.number, array.maxLive);
      if (array.maxLive > 0 && live > array.maxLive && sameLimit && live > liveOf(before, array.number))
        this.#w.problem("arraysKeepTheirLimit", `array ${array.number} has ${live} live of ${array.maxLive} allowed`);
    }
  }

  /** A run becomes a process only once, whatever message or state is lost or doubled. */
  runsBeginOnce(process: Process): void {
    const { run } = process;
    const key = `${run.taskId}#${run.attempt}`;
    if (this.begun.has(key)) this.#w.problem("runsBeginOnce", `${name(process)} was begun again`);
    this.begun.add(key);
  }

  /** Nothing begins before what it waits for is over, as it asked. */
  childrenWaitForTheirParents(process: Process): void {
    const id = process.run.taskId.split(".")[0]!;
    const parent = this.#w.client.parentOf(id);
    if (!parent) return;
    const { state = 0, outcome } = this.#truth.get(parent.id) ?? {};
    if (state < codes.over || (parent.ok && outcome !== "succeeded"))
      this.#w.problem(
        "childrenWaitForTheirParents",
        `${name(process)} begins, and ${parent.id} is ${state}/${outcome}`,
      );
  }

  /** The processes on a host fit its capacity, including those unknown to the server. */
  hostsAreNotOverfull({ hostId }: Process): void {
    const machine = this.#w.machines.get(hostId)!;
    let cpuMilli = 0;
    let memoryBytes = 0;
    for (const { resources } of machine.running()) {
      cpuMilli += resources.cpuMilli;
      memoryBytes += resources.memoryBytes;
    }
    if (cpuMilli > machine.capacity.cpuMilli || memoryBytes > machine.capacity.memoryBytes)
      this.#w.problem(
        "hostsAreNotOverfull",
        `${hostId} runs ${cpuMilli} mCPU and ${memoryBytes} B: ${[...machine.running()].map(name).join(" ")}`,
      );
  }

  /** At most one attempt of a task makes progress, outside the declared window. */
  oneAttemptMakesProgress(process: Process): void {
    const { taskId } = process.run;
    const all: Process[] = [];
    for (const machine of this.#w.machines.values())
      for (const other of machine.running()) if (other.run.taskId === taskId && isRunnable(other)) all.push(other);
    if (all.length > 1 && !this.#w.mayOverlap(all))
      this.#w.problem("oneAttemptMakesProgress", `${all.map(name).join(" and ")} make progress at once`);
  }

  /** Every waiting task has a reason, once a leader has read everything. */
  pendingTasksHaveAReason(explain: (id: string) => unknown): void {
    for (const { id, state } of this.#truth.values()) {
      if (state !== codes.pending) continue;
      if (explain(id) === undefined) this.#w.problem("pendingTasksHaveAReason", `${id} waits, and nobody says why`);
    }
  }
}
