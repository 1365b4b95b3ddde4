import type { LogEntry } from "./log-frames.ts";

type Stream = LogEntry["stream"];

/** State of the current line of one stream. */
interface Line {
  /** Time of the long line whose parts are being read; the engine gives all parts of a line the same time. */
  partsOf?: string;
  /** The engine dropped the end of the last line. */
  owed?: boolean;
  /** This engine drops no newlines. */
  kept?: boolean;
}

/** Engines cut a line into parts of this size. */
const partBytes = 16_384;
const newline = Buffer.from("\n");

/**
 * Restores the newlines that the engine's `local` log driver drops. The driver cuts long lines into parts, and writes no newline after a part, not even after the
 * last one. A part of less than full size ends its line, unless the output ends there; only the next entry shows which.
 */
export class LineEnds {
  readonly #lines: Record<Stream, Line>;

  constructor(text?: string) {
    this.#lines = text === undefined ? { stdout: {}, stderr: {} } : (JSON.parse(text) as Record<Stream, Line>);
  }

  toString(): string {
    return JSON.stringify(this.#lines);
  }

  /** Returns the entry's bytes as the program wrote them, with the missing newline of the entry before it in front. Call it once per entry, in order per stream. */
  restore({ stream, at, text }: LogEntry): Buffer {
    const line = this.#lines[stream];
    const bytes = line.owed ? Buffer.concat([newline, text]) : text;
    const isPart = line.partsOf === at;
    const ended = text[text.length - 1] === 0x0a;
    const kept = line.kept === true || (isPart && ended);
    this.#lines[stream] = {
      ...(kept && { kept }),
      ...(text.length === partBytes && !ended && { partsOf: at }),
      ...(text.length < partBytes && !ended && isPart && !kept && { owed: true }),
    };
    return bytes;
  }

  /** Whether the stream's last line was cut, so that its newline is unknown. */
  isOwed(stream: Stream): boolean {
    return this.#lines[stream].owed === true;
  }
}
