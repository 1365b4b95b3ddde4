import type { Run } from "@berth/core";
import type { DriverEvent } from "@berth/plugins";
import { tooLong } from "../domain/admission.ts";
import { Lanes } from "../domain/lanes.ts";
import { onTurn } from "../domain/news.ts";
import { WaitingRuns } from "../domain/waiting-runs.ts";
import type { AgentDeps } from "./agent-deps.ts";
import type { RunTable } from "./run-table.ts";

export interface WaitingRoomDeps extends Pick<AgentDeps, "clock" | "driver"> {
  readonly table: RunTable;
  /** Whether this agent speaks for its host; nothing starts until it does. */
  readonly mayStart: () => boolean;
  readonly start: (keys: readonly string[]) => void;
  readonly signal: AbortSignal;
}

const lookEveryMs = 250;

/** Runs of this host that wait for room: started the moment there is some, given back where there is none for long. */
export class WaitingRoom {
  readonly #deps: WaitingRoomDeps;
  readonly #runs = new WaitingRuns();
  readonly #lanes = new Lanes();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: WaitingRoomDeps) {
    this.#deps = deps;
    deps.signal.addEventListener("abort", () => clearTimeout(this.#timer));
  }

  get size(): number {
    return this.#runs.size + this.#lanes.waiting;
  }

  /** The lane in which a run waits; undefined where it has a place of its own. */
  laneOf(key: string): string | undefined {
    return this.#lanes.laneOf(key);
  }

  /** What waits in a lane since an earlier life of the agent is given back: nobody here knows any more behind which run, and for how long. */
  giveBackFound(found: readonly DriverEvent[]): void {
    this.#takeBack(found.flatMap((event) => (event.kind === "found" && !event.startedAt ? event.run : [])));
  }

  /** A run is over: the one behind it has its place now. */
  onOver(key: string): void {
    const next = this.#lanes.leave(key);
    const held = next === undefined ? undefined : this.#deps.table.get(next);
    if (held) this.#deps.table.change(onTurn(held), "memory");
  }

  add(keys: readonly string[]): void {
    const { elapsedMs } = this.#deps.clock.now();
    for (const key of keys) this.#runs.add(key, elapsedMs);
    this.startSome();
  }

  /** As far as there is room now. */
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

  /** Those that do not fit yet go behind others of their spec: the driver starts them without asking. */
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
    const { table, clock, mayStart } = this.#deps;
    if (!mayStart()) return;
    const { at, elapsedMs } = clock.now();
    for (const key of this.#runs.takeLate(elapsedMs)) {
      const held = table.get(key);
      if (held?.phase.kind !== "accepted") continue;
      const reason = tooLong("other tasks of this host took longer than expected");
      table.change({ ...held, phase: { kind: "refused", reason, refusedAt: at } }, "now");
    }
    this.#takeBack(this.#lanes.late(elapsedMs).flatMap((key) => table.get(key)?.run ?? []));
    this.startSome();
  }

  /** What has begun meanwhile goes on. */
  #takeBack(runs: readonly Run[]): void {
    if (runs.length > 0) void this.#deps.driver.takeBack(runs).catch(() => {});
  }
}
