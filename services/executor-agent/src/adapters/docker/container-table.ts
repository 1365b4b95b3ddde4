import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { HeldContainer } from "./held-container.ts";

/** Most ends kept of containers whose start call has not returned. More would belong to other clusters. */
const mostEarlyEnds = 1000;

/** The driver's runs, by run key and by container id, and the containers to remove. */
export class ContainerTable {
  readonly #runs = new Map<string, HeldContainer>();
  readonly #byContainer = new Map<string, HeldContainer>();
  readonly #removals = new Map<string, Run>();
  readonly #earlyEnds = new Set<string>();

  get(run: Run): HeldContainer | undefined {
    return this.#runs.get(runKey(run));
  }

  /** The run of a container that was started. */
  ofContainer(id: string): HeldContainer | undefined {
    return this.#byContainer.get(id);
  }

  values(): IterableIterator<HeldContainer> {
    return this.#runs.values();
  }

  add(held: HeldContainer): void {
    this.#runs.set(held.key, held);
  }

  /** The container was started: the engine's events about it are about this run from now on. */
  started(held: HeldContainer, at: Date): void {
    held.phase = "running";
    held.startedAt = at;
    this.#byContainer.set(held.containerId!, held);
  }

  /** Removes a settled run. */
  settled(held: HeldContainer): void {
    this.#runs.delete(held.key);
    held.phase = "over";
    if (held.containerId !== undefined) this.#byContainer.delete(held.containerId);
  }

  /** Notes an end that arrived before the start call of its container returned. */
  noteEarlyEnd(containerId: string): void {
    if (this.#earlyEnds.size < mostEarlyEnds) this.#earlyEnds.add(containerId);
  }

  /** Whether such an end was noted. Forgets it. */
  takeEarlyEnd(containerId: string): boolean {
    return this.#earlyEnds.delete(containerId);
  }

  /** Containers to remove, with their runs. */
  get removals(): readonly (readonly [string, Run])[] {
    return [...this.#removals];
  }

  toRemove(containerId: string, run: Run): void {
    this.#removals.set(containerId, run);
  }

  removed(containerId: string): void {
    this.#removals.delete(containerId);
  }

  /** Runs that have a container, or may get one at any moment. */
  withContainer(): Run[] {
    return [...[...this.#runs.values()].map(({ run }) => run), ...this.#removals.values()];
  }
}
