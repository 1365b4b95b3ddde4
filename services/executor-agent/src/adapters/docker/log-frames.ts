type Stream = "stdout" | "stderr";

/** Bytes of one stream, from one frame of the engine. */
export interface Frame {
  readonly stream: Stream;
  readonly bytes: Buffer;
}

/** One entry of the engine's log: a line with its newline, or a part of a long or unfinished line. */
export interface LogEntry {
  readonly stream: Stream;
  /** The engine's time, 30 characters to the nanosecond in UTC, so that text order is time order. */
  readonly at: string;
  readonly text: Buffer;
}

const headerBytes = 8;
const timeBytes = 30;

/** Splits the engine's multiplexed stream into frames; chunks may be cut anywhere. Throws if it is not such a stream. */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0);

  /** Whether the last frame is cut off. */
  get isCutOff(): boolean {
    return this.#rest.length > 0;
  }

  feed(chunk: Buffer): Frame[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    let from = 0;
    while (bytes.length - from >= headerBytes) {
      const length = bytes.readUInt32BE(from + 4);
      const kind = bytes[from];
      if (kind !== 1 && kind !== 2) throw new Error(`not a log frame: stream ${kind}, ${length} bytes`);
      const end = from + headerBytes + length;
      if (bytes.length < end) break;
      frames.push({ stream: kind === 1 ? "stdout" : "stderr", bytes: bytes.subarray(from + headerBytes, end) });
      from = end;
    }
    this.#rest = from === bytes.length ? Buffer.alloc(0) : bytes.subarray(from);
    return frames;
  }
}

/** Splits the engine's log, read with timestamps, into entries. Throws if it is not such a stream. */
export class FrameParser {
  readonly #frames = new FrameSplitter();

  feed(chunk: Buffer): LogEntry[] {
    return this.#frames.feed(chunk).map(({ stream, bytes }) => {
      if (bytes.length < timeBytes + 1) throw new Error(`not a log frame: ${stream}, ${bytes.length} bytes`);
      return { stream, at: bytes.toString("latin1", 0, timeBytes), text: bytes.subarray(timeBytes + 1) };
    });
  }
}

/** As the engine's `since`: seconds with nanoseconds. */
export const sinceOf = (at: string): string => `${Date.parse(`${at.slice(0, 19)}Z`) / 1000}.${at.slice(20, 29)}`;
