import type { ContainerTable } from "./container-table.ts";
import type { HeldContainer } from "./held-container.ts";
import type { RunEvents } from "./run-events.ts";
import type { UsageMeter } from "./usage.ts";

const firstSampleMs = 1000;
const sampleEveryMs = 5000;

/** Samples the usage of runs, for meters that cannot read it after the end. */
export class UsageSampler {
  readonly #table: ContainerTable;
  readonly #meter: UsageMeter;
  #timer: NodeJS.Timeout | undefined;

  constructor(table: ContainerTable, meter: UsageMeter) {
    this.#table = table;
    this.#meter = meter;
  }

  start(): void {
    if (!this.#meter.exact) this.#timer = setInterval(() => this.sampleAll(), sampleEveryMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  afterStart(held: HeldContainer, events: RunEvents): void {
    if (!this.#meter.exact) events.later(firstSampleMs, () => void this.sample(held));
  }

  sampleAll(): void {
    if (!this.#meter.exact) for (const held of this.#table.values()) void this.sample(held);
  }

  async sample(held: HeldContainer): Promise<void> {
    if (this.#meter.exact || held.phase !== "running" || held.containerId === undefined) return;
    held.sampled = await this.#meter.read(held.run, held.containerId);
  }
}
