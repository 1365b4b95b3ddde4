import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { HeldContainer } from "./held-container.ts";

/** Ends of containers whose start is not answered yet; more would be of other clusters. */
const mostEarlyEnds = 1000;

/** The runs that the driver has, by run and by container, and the containers that are still to be removed. */
export class ContainerTable {
  readonly #runs = new Map<string, HeldContainer>();
  readonly #byContainer = new Map<string, HeldContainer>();
  readonly #removals = new Map<string, Run>();
  readonly #earlyEnds = new Set<string>();

  get(run: Run): HeldContainer | undefined {
    return this.#runs.get(runKey(run));
  }

  /** The run whose process runs, or ran, in that container. */
  ofContainer(id: string): HeldContainer | undefined {
    return this.#byContainer.get(id);
  }

  values(): IterableIterator<HeldContainer> {
    return this.#runs.values();
  }

  add(held: HeldContainer): void {
    this.#runs.set(held.key, held);
  }

  /** Its process runs, or ran: what the engine tells of its container is about this run from here on. */
  started(held: HeldContainer, at: Date): void {
    held.phase = "running";
    held.startedAt = at;
    this.#byContainer.set(held.containerId!, held);
  }

  /** Its end is stored for good. */
  settled(held: HeldContainer): void {
    this.#runs.delete(held.key);
    held.phase = "over";
    if (held.containerId !== undefined) this.#byContainer.delete(held.containerId);
  }

  /** An end came before the answer to its container's start. */
  noteEarlyEnd(containerId: string): void {
    if (this.#earlyEnds.size < mostEarlyEnds) this.#earlyEnds.add(containerId);
  }

  /** Whether such an end was noted; it is forgotten then. */
  takeEarlyEnd(containerId: string): boolean {
    return this.#earlyEnds.delete(containerId);
  }

  /** Containers that are to be removed, with their runs. */
  get removals(): readonly (readonly [string, Run])[] {
    return [...this.#removals];
  }

  toRemove(containerId: string, run: Run): void {
    this.#removals.set(containerId, run);
  }

  removed(containerId: string): void {
    this.#removals.delete(containerId);
  }

  /** Runs that have, or may get at any moment, a container. */
  withContainer(): Run[] {
    return [...[...this.#runs.values()].map(({ run }) => run), ...this.#removals.values()];
  }
}
