import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { LogSink } from "@berth/plugins";
import type { Logger } from "@berth/runtime";
import { EngineError } from "./engine-client.ts";
import type { EngineClient } from "./engine-client.ts";
import { LineEnds } from "./line-ends.ts";
import { LogCursor } from "./log-cursor.ts";
import type { Gap } from "./log-cursor.ts";
import { FrameParser, sinceOf } from "./log-frames.ts";
import type { LogEntry } from "./log-frames.ts";
import { LogWriter } from "./log-writer.ts";
import type { LogPositions, OutputNote } from "./output-note.ts";
import { noNote, OutputNotes } from "./output-note.ts";
import { AfterPlaces, millisecondsOf, PlaceFinder } from "./place-finder.ts";
import type { Place } from "./place-finder.ts";

export interface OutputDeps {
  readonly client: EngineClient;
  readonly sink: LogSink;
  readonly positions: LogPositions;
  readonly logger: Logger;
  /** Size of one file of the engine's log; there are at least two. */
  readonly logBuffer: { readonly maxBytes: number; readonly files: number };
}

/** Most bytes read ahead of the sink. Beyond it, the reader waits for the sink. */
const flushBytes = 256 * 1024;
/** Most bytes that the first reading holds back until it is known whether the log's beginning is still there. */
const holdBytes = 1024 * 1024;

/**
 * Copies one container's output from the engine's log into the sink, over restarts of agent and engine.
 *
 * A reading sees a consistent view of all files of the log; a following does not. Engines up to 22 silently skip a whole file if two rotations happen while the
 * follower reads one. So a following stops after a part of a file's size. The next reading starts before that point, and counts the bytes that the following missed.
 */
export class EngineLog {
  readonly #deps: OutputDeps;
  readonly #run: Run;
  readonly #containerId: string;
  readonly #notes: OutputNotes;
  /** The note that an earlier agent process, or the copier of the live stream, left. */
  #note = noNote;
  #cursor = LogCursor.start();
  #lineEnds = new LineEnds();
  #lost = { stdout: 0, stderr: 0 };
  #writer: LogWriter | undefined;
  #after: AfterPlaces | undefined;
  /** Bytes of output that all readings have taken from the log. */
  takenBytes = 0;
  /** Called when more bytes were read. */
  readonly #onTaken: () => void;

  constructor(deps: OutputDeps, run: Run, containerId: string, onTaken: () => void = () => {}) {
    this.#onTaken = onTaken;
    this.#deps = deps;
    this.#run = run;
    this.#containerId = containerId;
    this.#notes = new OutputNotes(deps.positions, runKey(run));
  }

  /** Copies all that the engine has and the sink has not. Resolves with the number of new bytes, once the sink has them. Throws EngineError, or what the sink throws. */
  read(signal: AbortSignal): Promise<number> {
    return this.#read(false, signal);
  }

  /** Follows the log for a while. */
  follow(signal: AbortSignal): Promise<number> {
    return this.#read(true, signal);
  }

  /** Call it after an error: the next reading begins at the last note. */
  startOver(): void {
    this.#writer = undefined;
  }

  /** Call it after the last reading. If the output ends with a full part of a long line, its newline was most likely dropped, so this adds it. */
  async end(): Promise<void> {
    const writer = await this.#opened();
    for (const stream of ["stdout", "stderr"] as const) {
      if (!this.#lineEnds.isOwed(stream)) continue;
      writer.write(stream, Buffer.from("\n"));
    }
    this.#lineEnds = new LineEnds();
    await this.#flush(writer, true);
  }

  async sizes(): Promise<{ readonly bytes: Record<"stdout" | "stderr", number>; readonly lost: OutputNote["lost"] }> {
    return { bytes: (await this.#opened()).offsets, lost: this.#lost };
  }

  async #opened(): Promise<LogWriter> {
    return (this.#writer ??= await this.#open());
  }

  async #open(): Promise<LogWriter> {
    this.#note = this.#notes.read();
    const { cursor, lineEnds, offsets, lost } = this.#note;
    this.#lost = { ...lost };
    if (cursor !== undefined) {
      const writer = await LogWriter.open(this.#run, this.#deps.sink, offsets);
      if (!writer.sinkFellBack) {
        this.#cursor = LogCursor.parse(cursor);
        this.#lineEnds = new LineEnds(lineEnds);
        return writer;
      }
    }
    this.#cursor = LogCursor.start();
    this.#lineEnds = new LineEnds();
    this.#after = undefined;
    return LogWriter.open(this.#run, this.#deps.sink, { stdout: 0, stderr: 0 });
  }

  async #read(follow: boolean, signal: AbortSignal, afterGap = false): Promise<number> {
    await this.#opened();
    const cursor = this.#cursor;
    const parser = new FrameParser();
    const since = cursor.since;
    const limit = new AbortController();
    const followBytes = this.#deps.logBuffer.maxBytes / 4;
    const opening = follow || !cursor.isFresh ? undefined : new Opening();
    const take = (entry: LogEntry): void => {
      const bytes = this.#lineEnds.restore(entry);
      this.takenBytes += entry.text.length;
      this.#writer!.write(entry.stream, this.#after ? this.#after.rest(entry, bytes) : bytes);
    };
    const release = async (mayHaveLost: boolean): Promise<void> => {
      if (mayHaveLost && opening!.first) this.#after = await this.#place(opening!.first, signal);
      opening!.release(take);
    };
    cursor.begin(afterGap);
    const stream = await this.#deps.client.logs(
      this.#containerId,
      { follow, since: since === undefined ? undefined : sinceOf(since) },
      AbortSignal.any([signal, limit.signal]),
    );
    let fresh = 0;
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        for (const entry of parser.feed(chunk)) {
          const verdict = cursor.accept(entry);
          if (verdict === false) continue;
          if (verdict !== true) this.#lose(verdict);
          if (verdict !== true && verdict.kind === "skipped") continue;
          fresh += entry.text.length + 32;
          if (!opening?.hold(entry)) take(entry);
        }
        if (opening?.holds && opening.bytes > holdBytes) await release(await this.#mayHaveLost(signal));
        if (follow || this.#writer!.waitingBytes > flushBytes) await this.#flush(this.#writer!);
        this.#onTaken();
        // After a part of a file, or if the place was not found, only a reading with a consistent view may continue.
        if (follow && (fresh > followBytes || cursor.searching)) limit.abort();
      }
      if (!stream.complete) throw new EngineError(0, "the engine cut off the output");
      if (opening?.holds) await release(opening.bytes >= this.#evictingBytes);
    } catch (error) {
      if (!limit.signal.aborted || signal.aborted) {
        // The bytes still held were not written, so they are read again.
        if (opening?.holds) this.#writer = undefined;
        else await this.#flush(this.#writer!, true);
        throw error;
      }
    } finally {
      await drop(stream);
    }
    await this.#flush(this.#writer!, true);
    if (follow || !cursor.lost) return fresh;
    return afterGap ? fresh : this.#read(false, signal, true);
  }

  #lose(gap: Gap): void {
    this.#deps.logger.warn("output is missing", { run: runKey(this.#run), ...gap });
    if (gap.kind === "skipped") {
      this.#lost.stdout += gap.stdout;
      this.#lost.stderr += gap.stderr;
    } else {
      this.#loseSome(this.#writer!.mainStream);
    }
  }

  /** The number is not known. */
  #loseSome(stream: LogEntry["stream"]): void {
    this.#lost[stream] += 1;
  }

  /**
   * If the engine has deleted the log's beginning, the bytes that the sink has cannot be counted from there. So the noted last bytes are searched in the rest of the
   * log. If they are found, writing continues at the noted offsets; if not, output is lost in between.
   */
  async #place(first: LogEntry, signal: AbortSignal): Promise<AfterPlaces | undefined> {
    const { offsets, tails, atMs = 0 } = this.#note;
    const finder = new PlaceFinder(
      { stdout: Buffer.from(tails?.stdout ?? "", "base64"), stderr: Buffer.from(tails?.stderr ?? "", "base64") },
      atMs,
    );
    if (tails) await this.#scan(signal, (entry) => finder.look(entry));
    const places: Partial<Record<LogEntry["stream"], Place>> = finder.places;
    if (places.stdout ?? places.stderr) {
      this.#writer = await LogWriter.open(this.#run, this.#deps.sink, offsets);
      if (!this.#writer.sinkFellBack) {
        // One stream may be far behind the other. If the log begins after the note, the engine may have deleted entries that came after it.
        for (const stream of ["stdout", "stderr"] as const)
          if (offsets[stream] > 0 && !places[stream] && millisecondsOf(first.at) > atMs) this.#loseSome(stream);
        return new AfterPlaces(places);
      }
    }
    this.#deps.logger.warn("output is missing: the engine's log was full before it was read", {
      run: runKey(this.#run),
      until: first.at,
    });
    this.#writer = await LogWriter.openAtEnd(this.#run, this.#deps.sink);
    this.#loseSome(first.stream);
    return undefined;
  }

  /** The engine deletes a file only when all others are full. */
  get #evictingBytes(): number {
    const { maxBytes, files } = this.#deps.logBuffer;
    return maxBytes * (files - 1);
  }

  /** Whether the log is so large that the engine may have deleted its beginning. */
  async #mayHaveLost(signal: AbortSignal): Promise<boolean> {
    let bytes = 0;
    await this.#scan(signal, (entry) => (bytes += mostBytes(entry)) < this.#evictingBytes);
    return bytes >= this.#evictingBytes;
  }

  /** Reads all that the engine has now, until `look` returns false. */
  async #scan(signal: AbortSignal, look: (entry: LogEntry) => boolean | void): Promise<void> {
    const stream = await this.#deps.client.logs(this.#containerId, { follow: false }, signal);
    const parser = new FrameParser();
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>)
        for (const entry of parser.feed(chunk)) if (look(entry) === false) return;
      if (!stream.complete) throw new EngineError(0, "the engine cut off the output");
    } finally {
      await drop(stream);
    }
  }

  /** Writes all taken bytes to the sink, and notes the place only after that: a crash in between repeats bytes, which the sink drops, and loses none. */
  async #flush(writer: LogWriter, now = false): Promise<void> {
    await writer.flush();
    const offsets = writer.offsets;
    // Until the place is reached the offsets are ahead of the cursor, so the old note stays.
    if (offsets.stdout + offsets.stderr === 0 || this.#after?.isPending) return;
    this.#notes.write(
      offsets.stdout + offsets.stderr,
      () => ({
        offsets,
        lost: this.#lost,
        cursor: this.#cursor.toString(),
        lineEnds: this.#lineEnds.toString(),
      }),
      now,
    );
  }
}

/** Holds back the first bytes of a reading until it is known where they belong. */
class Opening {
  #held: LogEntry[] | undefined = [];
  bytes = 0;

  get holds(): boolean {
    return this.#held !== undefined;
  }

  get first(): LogEntry | undefined {
    return this.#held?.[0];
  }

  /** False once it is released. */
  hold(entry: LogEntry): boolean {
    if (this.#held === undefined) return false;
    this.#held.push(entry);
    this.bytes += mostBytes(entry);
    return true;
  }

  release(take: (entry: LogEntry) => void): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const entry of held) take(entry);
  }
}

/** Most bytes of an entry in the engine's file. Parts of long lines have more metadata. */
const mostBytes = ({ text }: LogEntry): number => text.length + (text[text.length - 1] === 0x0a ? 40 : 120);

async function drop(stream: IncomingMessage): Promise<void> {
  if (stream.destroyed && stream.closed) return;
  stream.destroy();
  if (!stream.closed) await once(stream, "close").catch(() => {});
}
