import { tooLong } from "../domain/admission.ts";
import { WaitingRuns } from "../domain/waiting-runs.ts";
import type { AgentDeps } from "./agent-deps.ts";
import type { RunTable } from "./run-table.ts";

export interface WaitingRoomDeps extends Pick<AgentDeps, "clock" | "driver"> {
  readonly table: RunTable;
  readonly start: (keys: readonly string[]) => void;
  readonly signal: AbortSignal;
}

const lookEveryMs = 250;

/** Runs of this host that wait for room: started the moment there is some, given back where there is none for long. */
export class WaitingRoom {
  readonly #deps: WaitingRoomDeps;
  readonly #runs = new WaitingRuns();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: WaitingRoomDeps) {
    this.#deps = deps;
    deps.signal.addEventListener("abort", () => clearTimeout(this.#timer));
  }

  get size(): number {
    return this.#runs.size;
  }

  add(keys: readonly string[]): void {
    const { elapsedMs } = this.#deps.clock.now();
    for (const key of keys) this.#runs.add(key, elapsedMs);
    this.startSome();
  }

  /** As far as there is room now. */
  startSome(): void {
    const { table, driver, start, signal } = this.#deps;
    if (this.#runs.size === 0) return;
    const ready = this.#runs.takeReady((key) => table.get(key), table.used(), driver.capacity());
    if (ready.length > 0) start(ready);
    if (this.#runs.size > 0 && !signal.aborted && this.#timer === undefined)
      this.#timer = setTimeout(() => this.#giveBackLate(), lookEveryMs);
  }

  #giveBackLate(): void {
    this.#timer = undefined;
    const { table, clock } = this.#deps;
    const { at, elapsedMs } = clock.now();
    for (const key of this.#runs.takeLate(elapsedMs)) {
      const held = table.get(key);
      if (held?.phase.kind !== "accepted") continue;
      const reason = tooLong("other tasks of this host took longer than expected");
      table.change({ ...held, phase: { kind: "refused", reason, refusedAt: at } }, "now");
    }
    this.startSome();
  }
}
