import type { Run } from "@berth/core";
import { Lanes } from "../domain/lanes.ts";
import { WaitingRuns } from "../domain/waiting-runs.ts";
import type { AgentDeps } from "./agent-deps.ts";
import type { React } from "./draft.ts";
import { onTurn, onWaitedTooLong } from "./reactor.ts";
import type { RunTable } from "./run-table.ts";

export interface StartQueueDeps extends Pick<AgentDeps, "clock" | "driver"> {
  readonly table: Pick<RunTable, "get" | "used" | "knowsUse">;
  readonly react: React;
  /** Whether this agent speaks for its host. It starts nothing before. */
  readonly mayStart: () => boolean;
  readonly start: (keys: readonly string[]) => void;
  readonly signal: AbortSignal;
}

const lookEveryMs = 250;

/** Accepted runs that wait for capacity. Starts each as soon as it fits, and refuses those that waited too long, so that another host gets them. */
export class StartQueue {
  readonly #deps: StartQueueDeps;
  readonly #runs = new WaitingRuns();
  readonly #lanes = new Lanes();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: StartQueueDeps) {
    this.#deps = deps;
    deps.signal.addEventListener("abort", () => clearTimeout(this.#timer));
  }

  get size(): number {
    return this.#runs.size + this.#lanes.waiting;
  }

  /** The lane in which a run waits; undefined if it has a place of its own. */
  laneOf(key: string): string | undefined {
    return this.#lanes.laneOf(key);
  }

  /** A run is over, so the next run of its lane takes its place. */
  onOver(key: string): void {
    const next = this.#lanes.leave(key);
    if (next !== undefined) this.#deps.react((host) => onTurn(host, next));
  }

  add(keys: readonly string[]): void {
    const { elapsedMs } = this.#deps.clock.now();
    for (const key of keys) this.#runs.add(key, elapsedMs);
    this.startSome();
  }

  /** Starts the runs that fit now. */
  startSome(): void {
    const { table, driver, start, signal, mayStart } = this.#deps;
    if (this.size === 0 || !mayStart()) return;
    const ready = table.knowsUse ? this.#runs.takeReady((key) => table.get(key), table.used(), driver.capacity()) : [];
    for (const key of ready) {
      const specId = table.get(key)?.specId;
      if (specId !== undefined) this.#lanes.open(key, specId);
    }
    if (ready.length > 0) start(ready);
    if (this.#runs.size > 0 && table.knowsUse && driver.features().has("lanes")) this.#lineUp();
    if (this.size > 0 && !signal.aborted && this.#timer === undefined)
      this.#timer = setTimeout(() => this.#giveBackLate(), lookEveryMs);
  }

  /** Puts runs that do not fit into lanes behind runs of their spec; the driver starts each when the one before it ends. */
  #lineUp(): void {
    const { table, clock, start } = this.#deps;
    const { elapsedMs } = clock.now();
    const joined = this.#runs.takeWhile(
      (key) => table.get(key),
      ({ key, specId }) => specId !== undefined && this.#lanes.join(key, specId, elapsedMs) !== undefined,
    );
    if (joined.length > 0) start(joined);
  }

  #giveBackLate(): void {
    this.#timer = undefined;
    const { table, clock, react, mayStart } = this.#deps;
    if (!mayStart()) return;
    const { elapsedMs } = clock.now();
    const late = this.#runs.takeLate(elapsedMs);
    if (late.length > 0) react((host, now) => onWaitedTooLong(host, late, now));
    this.takeBack(this.#lanes.late(elapsedMs).flatMap((key) => table.get(key)?.run ?? []));
    this.startSome();
  }

  /** Asks the driver to drop runs that wait in a lane; one that has started by then runs on. */
  takeBack(runs: readonly Run[]): void {
    if (runs.length > 0) void this.#deps.driver.takeBack(runs).catch(() => {});
  }
}
