/** The fields of a run that lanes need. */
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

/** A lane with fewer waiting runs than this needs more soon. */
const minWaiting = 3;

/** Lanes: queues of runs in which the next starts when the one before it ends, without asking the agent. */
export class RunLanes<R extends Laned> {
  readonly #lanes = new Map<string, Lane<R>>();
  /** Lanes by run: of current runs and of waiting ones. */
  readonly #laneOf = new Map<string, Lane<R>>();

  /** Whether there are lanes, and each has enough waiting runs. */
  get areStocked(): boolean {
    if (this.#lanes.size === 0) return false;
    for (const { waiting } of this.#lanes.values()) if (waiting.length < minWaiting) return false;
    return true;
  }

  /** Whether the run may start now; else it waits in its lane. A lane is named after its first run. */
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

  /** To be called at the end of a run. Returns the next run of its lane, if it was the current one. */
  leave(key: string): R | undefined {
    const lane = this.#laneOf.get(key);
    if (lane?.current !== key) return undefined;
    this.#laneOf.delete(key);
    const next = lane.waiting.shift();
    if (next) lane.current = next.k;
    else this.#lanes.delete(lane.name);
    return next;
  }

  /** Whether the run waits for the end of another. */
  waits(key: string): boolean {
    const lane = this.#laneOf.get(key);
    return lane !== undefined && lane.current !== key;
  }

  /** Removes a waiting run. Returns whether it was waiting. */
  remove(key: string): boolean {
    const lane = this.#laneOf.get(key);
    const at = lane?.waiting.findIndex(({ k }) => k === key) ?? -1;
    if (!lane || at < 0) return false;
    lane.waiting.splice(at, 1);
    this.#laneOf.delete(key);
    return true;
  }
}
