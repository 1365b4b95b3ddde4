import type { Database } from "@berth/database";
import type { Machine } from "./machine.ts";
import type { Process } from "./process.ts";
import type { Node } from "./network.ts";
import { isLiveRow, readTruth } from "./truth.ts";

export interface WindowDeps {
  readonly database: Database;
  readonly machines: ReadonlyMap<string, Machine>;
  /** Where a host's agent lives. */
  readonly agentOf: (hostId: string) => Node;
  readonly nowMs: () => number;
}

/** An agent that starts or resumes checks its leases within this time. */
const wakingMs = 3_000;

/**
 * The declared window, in which two attempts of a task may make progress: one of them is a run on a host that an operator declared lost; or only its agent can
 * freeze it, and that agent is dead, stalled or just awake.
 */
export class DeclaredWindow {
  readonly #deps: WindowDeps;
  readonly #declaredLost = new Set<string>();

  constructor(deps: WindowDeps) {
    this.#deps = deps;
  }

  /** What is on that host now is its operator's to answer for. */
  declareLost(hostId: string): void {
    for (const row of readTruth(this.#deps.database).values())
      if (isLiveRow(row) && row.host === hostId) this.#declaredLost.add(`${row.id}#${row.attempt}`);
  }

  covers(processes: readonly Process[]): boolean {
    return processes.some(
      ({ run, hostId }) => this.#declaredLost.has(`${run.taskId}#${run.attempt}`) || this.#isUnattended(hostId),
    );
  }

  #isUnattended(hostId: string): boolean {
    const { machines, agentOf, nowMs } = this.#deps;
    const { life, awakeSinceMs } = agentOf(hostId);
    const isAwake = life?.alive === true && !life.paused && nowMs() - awakeSinceMs > wakingMs;
    return !machines.get(hostId)!.keepsLeases && !isAwake;
  }
}
