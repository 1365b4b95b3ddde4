/** One piece that a task wrote: a line with its end, or a part of a long or unfinished one. */
export interface LogEntry {
  readonly stream: "stdout" | "stderr";
  /** The engine's time, 30 characters to the nanosecond in UTC, so that text order is time order. */
  readonly at: string;
  readonly text: Buffer;
}

const headerBytes = 8;
const timeBytes = 30;

/** Takes the engine's multiplexed stream apart, whatever way it was cut into chunks. Throws where it is not such a stream. */
export class FrameParser {
  #rest: Buffer = Buffer.alloc(0);

  feed(chunk: Buffer): LogEntry[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const entries: LogEntry[] = [];
    let from = 0;
    while (bytes.length - from >= headerBytes) {
      const length = bytes.readUInt32BE(from + 4);
      const end = from + headerBytes + length;
      if (bytes.length < end) break;
      const kind = bytes[from];
      if ((kind !== 1 && kind !== 2) || length < timeBytes + 1)
        throw new Error(`not a log frame: stream ${kind}, ${length} bytes`);
      const textFrom = from + headerBytes + timeBytes;
      entries.push({
        stream: kind === 1 ? "stdout" : "stderr",
        at: bytes.toString("latin1", from + headerBytes, textFrom),
        text: bytes.subarray(textFrom + 1, end),
      });
      from = end;
    }
    this.#rest = from === bytes.length ? Buffer.alloc(0) : bytes.subarray(from);
    return entries;
  }
}

/** As the engine's `since`: seconds with nanoseconds. */
export const sinceOf = (at: string): string => `${Date.parse(`${at.slice(0, 19)}Z`) / 1000}.${at.slice(20, 29)}`;
