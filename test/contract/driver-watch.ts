import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { Driver, DriverEvent } from "@berth/plugins";

/** Reads a driver's events, and waits for some. */
export class DriverWatch {
  readonly events: DriverEvent[] = [];
  readonly #stop = new AbortController();
  #first = Promise.withResolvers<readonly DriverEvent[]>();
  #waiting: (() => void)[] = [];
  readonly #reading: Promise<void>;

  constructor(driver: Driver) {
    this.#reading = this.#read(driver);
  }

  /** What was found at open. */
  get first(): Promise<readonly DriverEvent[]> {
    return this.#first.promise;
  }

  async #read(driver: Driver): Promise<void> {
    for await (const batch of driver.watchTasks(this.#stop.signal)) {
      this.#first.resolve(batch);
      this.events.push(...batch);
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  /** The events of a run so far. */
  of(run: Run): DriverEvent[] {
    return this.events.filter((event) => runKey(event.run) === runKey(run));
  }

  /** The first event of this kind of a run, as soon as it has come. */
  async until<K extends DriverEvent["kind"]>(run: Run, ...kinds: K[]): Promise<Extract<DriverEvent, { kind: K }>> {
    for (;;) {
      const found = this.of(run).find(({ kind }) => (kinds as string[]).includes(kind));
      if (found) return found as Extract<DriverEvent, { kind: K }>;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error("test over"));
    await this.#reading.catch(() => {});
  }
}
