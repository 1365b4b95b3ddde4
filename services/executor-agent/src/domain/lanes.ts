/** Runs behind the first of a lane: enough that its keeper always has a next one while the news of an end is on its way. */
const depth = 10;
/** A run that waits longer than this behind another is taken back: that one takes longer than expected. */
const longestWaitMs = 1_000;

interface Lane {
  readonly id: string;
  readonly specId: number;
  /** The first takes the place of the lane; those behind it wait for it. */
  readonly keys: string[];
}

/**
 * Who comes after whom on a host whose driver starts the next run of a lane by itself, the moment one is over. Runs of a lane share their spec, so that
 * the next fits where the one before was. A lane is named after its first run.
 */
export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  readonly #laneOf = new Map<string, Lane>();
  readonly #sinceMs = new Map<string, number>();

  /** How many wait behind others. */
  get waiting(): number {
    return this.#sinceMs.size;
  }

  /** A run that has its own place opens a lane. */
  open(key: string, specId: number): void {
    const lane = { id: key, specId, keys: [key] };
    this.#lanes.set(key, lane);
    this.#laneOf.set(key, lane);
  }

  /** Puts a run behind another of its spec; the lane's id, or undefined where no lane has room. */
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

  /** The lane in which a run waits; undefined where it has a place of its own, or is not here. */
  laneOf(key: string): string | undefined {
    return this.#sinceMs.has(key) ? this.#laneOf.get(key)?.id : undefined;
  }

  /** A run is over, or was taken back: the one that takes its place now, if it had one and there is a next. */
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

  /** Those that have waited too long. They still wait: one is named again when it has waited as long once more, as word of the first time may be lost. */
  late(elapsedMs: number): string[] {
    const late = [...this.#sinceMs].filter(([, since]) => elapsedMs - since > longestWaitMs).map(([key]) => key);
    for (const key of late) this.#sinceMs.set(key, elapsedMs);
    return late;
  }
}
