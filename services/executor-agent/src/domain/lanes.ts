/** Most runs behind the first of a lane. The keeper must not run out of runs while the report of an end travels to the agent. */
const depth = 10;
/** A run that waits longer than this is taken back, because the one before it takes longer than expected. */
const longestWaitMs = 1_000;

interface Lane {
  readonly id: string;
  readonly specId: number;
  /** The first run uses the lane's place; the others wait for it. */
  readonly keys: string[];
}

/**
 * The order of runs in lanes, for a driver that starts the next run of a lane as soon as one ends. Runs of a lane share their spec, so each fits where the one
 * before it was. A lane's id is the key of its first run.
 */
export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  readonly #laneOf = new Map<string, Lane>();
  readonly #sinceMs = new Map<string, number>();

  /** How many runs wait behind others. */
  get waiting(): number {
    return this.#sinceMs.size;
  }

  /** Opens a lane for a run that has a place of its own. */
  open(key: string, specId: number): void {
    const lane = { id: key, specId, keys: [key] };
    this.#lanes.set(key, lane);
    this.#laneOf.set(key, lane);
  }

  /** Puts a run into the shortest lane of its spec. Returns the lane's id; undefined if no lane has room. */
  join(key: string, specId: number, elapsedMs: number): string | undefined {
    let shortest: Lane | undefined;
    for (const lane of this.#lanes.values())
      if (lane.specId === specId && lane.keys.length <= depth && lane.keys.length < (shortest?.keys.length ?? Infinity))
        shortest = lane;
    if (!shortest) return undefined;
    shortest.keys.push(key);
    this.#laneOf.set(key, shortest);
    this.#sinceMs.set(key, elapsedMs);
    return shortest.id;
  }

  /** The lane in which a run waits; undefined if it has a place of its own or is unknown. */
  laneOf(key: string): string | undefined {
    return this.#sinceMs.has(key) ? this.#laneOf.get(key)?.id : undefined;
  }

  /** Removes a run that is over or was taken back. If it was the first, returns the run that takes its place. */
  leave(key: string): string | undefined {
    const lane = this.#laneOf.get(key);
    if (!lane) return undefined;
    this.#laneOf.delete(key);
    this.#sinceMs.delete(key);
    const at = lane.keys.indexOf(key);
    lane.keys.splice(at, 1);
    if (lane.keys.length === 0) this.#lanes.delete(lane.id);
    const next = at === 0 ? lane.keys[0] : undefined;
    if (next !== undefined) this.#sinceMs.delete(next);
    return next;
  }

  /** Runs that have waited too long. They stay in their lane and are returned again after the same time, because the first request to take them back may be lost. */
  late(elapsedMs: number): string[] {
    const late = [...this.#sinceMs].filter(([, since]) => elapsedMs - since > longestWaitMs).map(([key]) => key);
    for (const key of late) this.#sinceMs.set(key, elapsedMs);
    return late;
  }
}
