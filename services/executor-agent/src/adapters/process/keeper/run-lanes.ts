/** What of a run matters here. */
interface Laned {
  readonly k: string;
  readonly l?: string;
}

interface Lane<R> {
  readonly name: string;
  /** The run whose end the others wait for. */
  current: string;
  readonly waiting: R[];
}

/** A lane with fewer than these behind its current run wants more soon. */
const stock = 3;

/** Runs that wait for the end of another, so that the next starts the moment one is over, without a word from the agent. */
export class RunLanes<R extends Laned> {
  readonly #lanes = new Map<string, Lane<R>>();
  /** Of current runs, and of those that wait. */
  readonly #laneOf = new Map<string, Lane<R>>();

  /** Whether there are lanes, and none is about to run dry. */
  get areStocked(): boolean {
    if (this.#lanes.size === 0) return false;
    for (const { waiting } of this.#lanes.values()) if (waiting.length < stock) return false;
    return true;
  }

  /** Whether it may start now; otherwise it waits in its lane. A lane is named after the run that was there first. */
  enter(run: R, isLive: (key: string) => boolean): boolean {
    if (run.l === undefined) return true;
    const lane = this.#lanes.get(run.l);
    if (lane) {
      lane.waiting.push(run);
      this.#laneOf.set(run.k, lane);
      return false;
    }
    const first = isLive(run.l);
    const made: Lane<R> = { name: run.l, current: first ? run.l : run.k, waiting: first ? [run] : [] };
    this.#lanes.set(run.l, made);
    this.#laneOf.set(made.current, made);
    this.#laneOf.set(run.k, made);
    return !first;
  }

  /** A run is over: the next of its lane, if it was its lane's current one. */
  leave(key: string): R | undefined {
    const lane = this.#laneOf.get(key);
    if (lane?.current !== key) return undefined;
    this.#laneOf.delete(key);
    const next = lane.waiting.shift();
    if (next) lane.current = next.k;
    else this.#lanes.delete(lane.name);
    return next;
  }

  /** Whether it waits for another's end. */
  waits(key: string): boolean {
    const lane = this.#laneOf.get(key);
    return lane !== undefined && lane.current !== key;
  }

  /** Takes out one that waits. */
  remove(key: string): boolean {
    const lane = this.#laneOf.get(key);
    const at = lane?.waiting.findIndex(({ k }) => k === key) ?? -1;
    if (!lane || at < 0) return false;
    lane.waiting.splice(at, 1);
    this.#laneOf.delete(key);
    return true;
  }
}
