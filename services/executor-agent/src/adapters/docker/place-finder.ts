import { LineEnds } from "./line-ends.ts";
import type { LogEntry } from "./log-frames.ts";
import type { Each } from "./output-note.ts";

type Stream = LogEntry["stream"];

/** The place in the engine's log where the noted bytes of one stream end. */
export interface Place {
  readonly at: string;
  /** Number of the entry among those with this stream and time. */
  readonly nth: number;
  /** How many bytes of that entry, newlines restored, are before the place. */
  readonly within: number;
}

/** Numbers the entries that share their time and output. */
export class SameTimes {
  readonly #last: Record<Stream, { at: string; nth: number }> = {
    stdout: { at: "", nth: 0 },
    stderr: { at: "", nth: 0 },
  };

  nthOf({ stream, at }: LogEntry): number {
    const last = this.#last[stream];
    if (last.at === at) last.nth += 1;
    else this.#last[stream] = { at, nth: 1 };
    return this.#last[stream].nth;
  }
}

/** Allowance for the difference between the engine's clock and ours, and for the delay between both. */
const toleranceMs = 1000;

/**
 * Finds the place in the engine's log from which output is new, by a search for the last stored bytes. Needed if the engine has deleted the log's beginning, so that
 * bytes cannot be counted. If the bytes occur several times, the last occurrence before the note was made is taken.
 */
export class PlaceFinder {
  readonly #tails: Each<Buffer>;
  readonly #untilMs: number;
  readonly #lineEnds = new LineEnds();
  readonly #times = new SameTimes();
  readonly #before: Record<Stream, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  readonly places: Partial<Record<Stream, Place>> = {};

  constructor(tails: Each<Buffer>, notedAtMs: number) {
    this.#tails = tails;
    this.#untilMs = notedAtMs + toleranceMs;
  }

  /** Adds entries in the engine's order, from the first one. */
  look(entry: LogEntry): void {
    const { stream, at } = entry;
    const bytes = this.#lineEnds.restore(entry);
    const nth = this.#times.nthOf(entry);
    const tail = this.#tails[stream];
    if (tail.length === 0) return;
    const before = this.#before[stream];
    const seen = Buffer.concat([before, bytes]);
    const found = seen.lastIndexOf(tail);
    this.#before[stream] = seen.subarray(-(tail.length - 1));
    if (tail.length === 1) this.#before[stream] = Buffer.alloc(0);
    if (found < 0 || (this.places[stream] !== undefined && millisecondsOf(at) > this.#untilMs)) return;
    this.places[stream] = { at, nth, within: found + tail.length - before.length };
  }
}

/** Of the engine's time. */
export const millisecondsOf = (at: string): number => Date.parse(`${at.slice(0, 23)}Z`);

/** Passes on only the bytes after a place. */
export class AfterPlaces {
  readonly #places: Partial<Record<Stream, Place>>;
  readonly #times = new SameTimes();

  constructor(places: Partial<Record<Stream, Place>>) {
    this.#places = { ...places };
  }

  /** Whether some place was not reached yet. */
  get isPending(): boolean {
    return Object.keys(this.#places).length > 0;
  }

  /** Returns the new part of an entry's bytes, newlines restored. */
  rest(entry: LogEntry, bytes: Buffer): Buffer {
    const nth = this.#times.nthOf(entry);
    const place = this.#places[entry.stream];
    if (place === undefined) return bytes;
    if (entry.at < place.at || (entry.at === place.at && nth < place.nth)) return bytes.subarray(bytes.length);
    delete this.#places[entry.stream];
    return entry.at === place.at && nth === place.nth ? bytes.subarray(place.within) : bytes;
  }
}
