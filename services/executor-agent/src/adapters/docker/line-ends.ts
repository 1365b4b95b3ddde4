import type { LogEntry } from "./log-frames.ts";

type Stream = LogEntry["stream"];

/** What is known of the line that one output is in. */
interface Line {
  /** Time of the long line whose parts are being read; the engine gives all parts of a line the same time. */
  partsOf?: string;
  /** The engine dropped the end of the last line. */
  owed?: boolean;
  /** This engine does not drop them. */
  kept?: boolean;
}

/** Engines cut a line into parts of this size. */
const partBytes = 16_384;
const newline = Buffer.from("\n");

/**
 * Puts back the newlines that the engine's `local` log driver drops: it ends each entry with a newline unless the entry is part of a cut line, and takes the last
 * part for one too. A part of less than full size ends its line unless the output ends there; which of both it is, shows only in what comes next.
 */
export class LineEnds {
  readonly #lines: Record<Stream, Line>;

  constructor(text?: string) {
    this.#lines = text === undefined ? { stdout: {}, stderr: {} } : (JSON.parse(text) as Record<Stream, Line>);
  }

  toString(): string {
    return JSON.stringify(this.#lines);
  }

  /** The entry's bytes as the program wrote them, after the newline that is owed of the entry before it. Entries of one output come in order, each once. */
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

  /** Whether the output's last line was cut, so that nobody knows whether it ended with a newline. */
  isOwed(stream: Stream): boolean {
    return this.#lines[stream].owed === true;
  }
}
