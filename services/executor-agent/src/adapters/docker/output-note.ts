/** How far a driver has read the output that its engine keeps, as text of its own, by run. Written soon, not at once: reading twice does no harm. */
export interface LogPositions {
  get(key: string): string | undefined;
  set(key: string, position: string): void;
}

/** A figure for each output. */
export type Each<T> = Readonly<Record<"stdout" | "stderr", T>>;

/** What is noted of a run's output, so that the agent's next life goes on where this one stopped. */
export interface OutputNote {
  /** Bytes that the sink has. */
  readonly offsets: Each<number>;
  /** At least so many bytes are lost. */
  readonly lost: Each<number>;
  /** The place in the engine's log, where that was read. */
  readonly cursor?: string;
  readonly lineEnds?: string;
  /** Where the live stream was copied: the last bytes before the offsets, in base64, by which the place in the log is found where it cannot be counted. */
  readonly tails?: Each<string>;
  readonly atMs?: number;
}

export const noNote: OutputNote = { offsets: { stdout: 0, stderr: 0 }, lost: { stdout: 0, stderr: 0 } };

export const parseNote = (text: string | undefined): OutputNote =>
  text === undefined ? noNote : (JSON.parse(text) as OutputNote);

const noteEveryMs = 500;
const noteEveryBytes = 4 * 1024 * 1024;

/** Writes one run's notes, not too often. */
export class OutputNotes {
  readonly #positions: LogPositions;
  readonly #key: string;
  #notedAt = 0;
  #notedBytes = 0;

  constructor(positions: LogPositions, key: string) {
    this.#positions = positions;
    this.#key = key;
  }

  read(): OutputNote {
    return parseNote(this.#positions.get(this.#key));
  }

  /** `bytes`: the sum of the offsets. `now`: also where the last one was written just before. */
  write(bytes: number, note: () => OutputNote, now = false): void {
    const at = performance.now();
    if (!now && at - this.#notedAt < noteEveryMs && bytes - this.#notedBytes < noteEveryBytes) return;
    this.#notedAt = at;
    this.#notedBytes = bytes;
    this.#positions.set(this.#key, JSON.stringify(note()));
  }
}
