/** A driver's positions in its engine's log, one text per run. They are written to disk with a delay, because reading a part twice does no harm. */
export interface LogPositions {
  get(key: string): string | undefined;
  set(key: string, position: string): void;
}

/** One value per output. */
export type Each<T> = Readonly<Record<"stdout" | "stderr", T>>;

/** How far a run's output was read, so that the next agent process continues there. */
export interface OutputNote {
  /** Bytes that the sink has. */
  readonly offsets: Each<number>;
  /** Lower bound of lost bytes. */
  readonly lost: Each<number>;
  /** The position in the engine's log, if the log was read. */
  readonly cursor?: string;
  readonly lineEnds?: string;
  /** If the live stream was copied: the last bytes before the offsets, in base64. They locate the position in the log when counting bytes cannot. */
  readonly tails?: Each<string>;
  readonly atMs?: number;
}

export const noNote: OutputNote = { offsets: { stdout: 0, stderr: 0 }, lost: { stdout: 0, stderr: 0 } };

export const parseNote = (text: string | undefined): OutputNote =>
  text === undefined ? noNote : (JSON.parse(text) as OutputNote);

const noteEveryMs = 500;
const noteEveryBytes = 4 * 1024 * 1024;

/** Writes one run's notes, at most one per `noteEveryMs` or `noteEveryBytes`. */
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

  /** `bytes`: the sum of the offsets. `now`: write even if the last note is recent. */
  write(bytes: number, note: () => OutputNote, now = false): void {
    const at = performance.now();
    if (!now && at - this.#notedAt < noteEveryMs && bytes - this.#notedBytes < noteEveryBytes) return;
    this.#notedAt = at;
    this.#notedBytes = bytes;
    this.#positions.set(this.#key, JSON.stringify(note()));
  }
}
