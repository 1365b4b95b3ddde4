import type { Run } from "@berth/core";
import type { LogSink } from "@berth/plugins";
import type { LogEntry } from "./log-frames.ts";

type Stream = LogEntry["stream"];

/** One output of a run on its way to the sink. */
class Output {
  /** Bytes that belong before what comes next. */
  offset: number;
  /** Bytes that the sink has; more than offset where an earlier life got further than it could note. */
  stored: number;
  pieces: Uint8Array[] = [];
  waiting = 0;
  /** Whether the last byte ended a line. */
  lineEnded = true;
  constructor(offset: number, stored: number) {
    this.offset = offset;
    this.stored = stored;
  }
}

/** Puts a run's output into the sink, each byte once, at its offset. */
export class LogWriter {
  readonly #run: Run;
  readonly #sink: LogSink;
  readonly #outputs: Record<Stream, Output>;

  private constructor(run: Run, sink: LogSink, outputs: Record<Stream, Output>) {
    this.#run = run;
    this.#sink = sink;
    this.#outputs = outputs;
  }

  /** Goes on at these offsets; what the sink has beyond them is skipped when it comes again. */
  static async open(run: Run, sink: LogSink, offsets: Readonly<Record<Stream, number>>): Promise<LogWriter> {
    const [stdout, stderr] = await Promise.all([sink.size(run, "stdout"), sink.size(run, "stderr")]);
    return new LogWriter(run, sink, {
      stdout: new Output(offsets.stdout, stdout),
      stderr: new Output(offsets.stderr, stderr),
    });
  }

  /** Bytes that were handed in, over all lives. */
  get offsets(): Record<Stream, number> {
    return { stdout: this.#outputs.stdout.offset, stderr: this.#outputs.stderr.offset };
  }

  get waitingBytes(): number {
    return this.#outputs.stdout.waiting + this.#outputs.stderr.waiting;
  }

  /** Whether the sink has less than it was said to: what is missing must be read again from the beginning. */
  get sinkFellBack(): boolean {
    return Object.values(this.#outputs).some(({ stored, offset }) => stored < offset);
  }

  write(stream: Stream, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const output = this.#outputs[stream];
    output.lineEnded = bytes[bytes.length - 1] === 0x0a;
    const known = Math.min(Math.max(0, output.stored - output.offset - output.waiting), bytes.length);
    output.offset += bytes.length;
    if (known === bytes.length) return;
    output.pieces.push(known === 0 ? bytes : bytes.subarray(known));
    output.waiting += bytes.length - known;
  }

  /** A line of our own, on a line of its own. */
  writeLine(stream: Stream, line: string): void {
    this.write(stream, Buffer.from(this.#outputs[stream].lineEnded ? line : `\n${line}`));
  }

  /** The stream that a line about all output belongs to. */
  get mainStream(): Stream {
    return this.#outputs.stdout.offset === 0 && this.#outputs.stderr.offset > 0 ? "stderr" : "stdout";
  }

  /** Resolves when the sink has everything that was handed in. */
  async flush(): Promise<void> {
    await this.#flush("stdout");
    await this.#flush("stderr");
  }

  async #flush(stream: Stream): Promise<void> {
    const output = this.#outputs[stream];
    while (output.waiting > 0) {
      const bytes = output.pieces.length === 1 ? output.pieces[0]! : Buffer.concat(output.pieces);
      output.pieces = [bytes];
      const stored = await this.#sink.append(this.#run, stream, output.stored, bytes);
      if (stored < output.stored)
        throw new Error(`the log store has ${stored} bytes of ${stream} and had ${output.stored}`);
      const done = Math.min(stored - output.stored, bytes.length);
      output.pieces = done === bytes.length ? [] : [bytes.subarray(done)];
      output.waiting = bytes.length - done;
      output.stored = stored;
    }
  }
}
