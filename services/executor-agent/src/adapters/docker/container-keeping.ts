import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import { isLeased, runOf } from "./container-spec.ts";
import type { ContainerTable } from "./container-table.ts";
import { isUp, unlessGone } from "./engine-client.ts";
import type { ContainerRow, EngineClient } from "./engine-client.ts";
import { holdContainer } from "./held-container.ts";
import type { RunEnder } from "./run-ender.ts";
import type { RunEvents } from "./run-events.ts";
import { startedAt } from "./run-starter.ts";
import type { UsageSampler } from "./usage-sampler.ts";
import type { UsageMeter } from "./usage.ts";

export interface ContainerKeepingDeps {
  readonly clusterId: string;
  readonly client: EngineClient;
  readonly table: ContainerTable;
  readonly events: RunEvents;
  readonly ender: RunEnder;
  readonly meter: UsageMeter;
  readonly sampler: UsageSampler;
  readonly stop: AbortSignal;
}

const inspectedAtOnce = 8;

/** Reconciles the table with the engine's containers: finds them at open, notices ends without an event, and removes settled ones. */
export class ContainerKeeping {
  readonly #deps: ContainerKeepingDeps;

  constructor(deps: ContainerKeepingDeps) {
    this.#deps = deps;
  }

  /** Finds all containers of this cluster from earlier agent processes. Throws EngineError. */
  async findAll(signal: AbortSignal): Promise<void> {
    const rows = await this.#list(signal);
    for (let from = 0; from < rows.length; from += inspectedAtOnce)
      await Promise.all(rows.slice(from, from + inspectedAtOnce).map((row) => this.#adopt(row).catch(unlessGone)));
  }

  /** Finds ends without an event, and retries failed removals. Throws EngineError. */
  async look(): Promise<void> {
    const { table, ender, meter, sampler, stop } = this.#deps;
    const up = new Set((await this.#list(stop)).filter(isUp).map(({ Id }) => Id));
    for (const held of table.values()) if (held.phase === "running" && !up.has(held.containerId!)) ender.check(held);
    await Promise.all(table.removals.map(([id, run]) => this.remove(id, run)));
    meter.keepOnly(table.withContainer());
    sampler.sampleAll();
  }

  /** Removes a container; a failed removal is retried at each look. Throws EngineError. */
  async remove(containerId: string, run: Run): Promise<void> {
    const { client, table, meter } = this.#deps;
    table.toRemove(containerId, run);
    await client.remove(containerId);
    table.removed(containerId);
    meter.forget(run);
  }

  #list(signal: AbortSignal): Promise<readonly ContainerRow[]> {
    return this.#deps.client.list([`berth.cluster=${this.#deps.clusterId}`], signal);
  }

  async #adopt(row: ContainerRow): Promise<void> {
    const { clusterId, client, table, events, stop } = this.#deps;
    const run = runOf(clusterId, row.Labels);
    if (!run || row.State === "removing") return;
    const details = await client.inspect(row.Id, stop);
    const at = startedAt(details);
    const held = holdContainer(run, runKey(run), "created");
    held.containerId = row.Id;
    table.add(held);
    // It was created and never started. When the agent hands the run over again, the starter finds the container by its name and starts it.
    if (at === undefined) return;
    const { Paused: suspended, Running: up } = details.State;
    held.paused = suspended;
    table.started(held, at);
    events.found({ kind: "found", run, startedAt: at, suspended, over: !up, leased: isLeased(row.Labels) });
  }
}
