import type { Run } from "@berth/core";
import type { LogSink } from "@berth/plugins";
import type { LogEntry } from "./log-frames.ts";

type Stream = LogEntry["stream"];

/** Enough bytes to find the position in the engine's log again. */
const tailBytes = 1024;

/** One output of a run, with the bytes that the sink does not have yet. */
class Output {
  /** Bytes that were written to this object, including those of earlier agent processes. */
  offset: number;
  /** Bytes that the sink has; more than offset if an earlier agent process died before it noted its position. */
  stored: number;
  waiting = 0;
  /** The last bytes that were written here and are in the sink. */
  tail: Buffer = Buffer.alloc(0);
  #pieces: Uint8Array[] = [];

  constructor(offset: number, stored: number) {
    this.offset = offset;
    this.stored = stored;
  }

  add(bytes: Uint8Array): void {
    // The sink can be ahead only if nothing waits.
    const known = Math.min(Math.max(0, this.stored - this.offset), bytes.length);
    this.offset += bytes.length;
    if (known > 0) this.#remember(bytes.subarray(0, known));
    if (known === bytes.length) return;
    this.#pieces.push(bytes.subarray(known));
    this.waiting += bytes.length - known;
  }

  /** All waiting bytes, as one buffer. */
  gathered(): Uint8Array {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0]!;
  }

  /** The sink has `stored` bytes now. Since that append began, more may have been added here. */
  storedUpTo(stored: number): void {
    let done = Math.min(stored - this.stored, this.waiting);
    this.stored = stored;
    this.waiting -= done;
    while (done > 0) {
      const first = this.#pieces[0]!;
      const part = Math.min(done, first.length);
      this.#remember(first.subarray(0, part));
      if (part === first.length) this.#pieces.shift();
      else this.#pieces[0] = first.subarray(part);
      done -= part;
    }
  }

  #remember(bytes: Uint8Array): void {
    this.tail =
      bytes.length >= tailBytes
        ? Buffer.from(bytes.subarray(bytes.length - tailBytes))
        : Buffer.concat([this.tail, bytes]).subarray(-tailBytes);
  }
}

/** Appends a run's output to the sink, each byte once, at its offset. `write` may be called during a flush. */
export class LogWriter {
  readonly #run: Run;
  readonly #sink: LogSink;
  readonly #outputs: Record<Stream, Output>;

  private constructor(run: Run, sink: LogSink, outputs: Record<Stream, Output>) {
    this.#run = run;
    this.#sink = sink;
    this.#outputs = outputs;
  }

  /** Continues at these offsets. Bytes that the sink has beyond them are skipped when they are written again. */
  static async open(run: Run, sink: LogSink, offsets: Readonly<Record<Stream, number>>): Promise<LogWriter> {
    const [stdout, stderr] = await Promise.all([sink.size(run, "stdout"), sink.size(run, "stderr")]);
    return new LogWriter(run, sink, {
      stdout: new Output(offsets.stdout, stdout),
      stderr: new Output(offsets.stderr, stderr),
    });
  }

  /** Continues at the end of what the sink has. */
  static async openAtEnd(run: Run, sink: LogSink): Promise<LogWriter> {
    const [stdout, stderr] = await Promise.all([sink.size(run, "stdout"), sink.size(run, "stderr")]);
    return new LogWriter(run, sink, { stdout: new Output(stdout, stdout), stderr: new Output(stderr, stderr) });
  }

  /** Bytes that were written, including those of earlier agent processes. */
  get offsets(): Record<Stream, number> {
    return { stdout: this.#outputs.stdout.offset, stderr: this.#outputs.stderr.offset };
  }

  /** Bytes that were written and are in the sink. */
  get storedOffsets(): Record<Stream, number> {
    const { stdout, stderr } = this.#outputs;
    return { stdout: stdout.offset - stdout.waiting, stderr: stderr.offset - stderr.waiting };
  }

  /** The last bytes before the stored offsets; empty if nothing was written since `open`. */
  get tails(): Record<Stream, Buffer> {
    return { stdout: this.#outputs.stdout.tail, stderr: this.#outputs.stderr.tail };
  }

  get waitingBytes(): number {
    return this.#outputs.stdout.waiting + this.#outputs.stderr.waiting;
  }

  /** Whether the sink has less than the offset given to `open`. Then the output must be read again from the beginning. */
  get sinkFellBack(): boolean {
    return Object.values(this.#outputs).some(({ stored, offset }) => stored < offset);
  }

  write(stream: Stream, bytes: Uint8Array): void {
    if (bytes.length > 0) this.#outputs[stream].add(bytes);
  }

  /** The output to which lost bytes are counted if it is unknown which one they were of. */
  get mainStream(): Stream {
    return this.#outputs.stdout.offset === 0 && this.#outputs.stderr.offset > 0 ? "stderr" : "stdout";
  }

  /** Resolves when the sink has all bytes that were written. Do not call it twice at once. */
  async flush(): Promise<void> {
    await this.#flush("stdout");
    await this.#flush("stderr");
  }

  async #flush(stream: Stream): Promise<void> {
    const output = this.#outputs[stream];
    while (output.waiting > 0) {
      const stored = await this.#sink.append(this.#run, stream, output.stored, output.gathered());
      if (stored < output.stored)
        throw new Error(`the log store has ${stored} bytes of ${stream} and had ${output.stored}`);
      output.storedUpTo(stored);
    }
  }
}
