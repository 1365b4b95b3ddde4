import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { LogSink } from "@berth/plugins";
import { backoffMs, sleep } from "@berth/runtime";
import type { Logger } from "@berth/runtime";
import { EngineError } from "./engine-client.ts";
import type { EngineClient } from "./engine-client.ts";
import { beginningLine, gapLine, LogCursor } from "./log-cursor.ts";
import { FrameParser, sinceOf } from "./log-frames.ts";
import type { LogEntry } from "./log-frames.ts";
import { LogWriter } from "./log-writer.ts";

/** How far a driver has read the output that its engine keeps, as text of its own, by run. Written soon, not at once: reading twice does no harm. */
export interface LogPositions {
  get(key: string): string | undefined;
  set(key: string, position: string): void;
}

export interface LogReaderDeps {
  readonly client: EngineClient;
  readonly sink: LogSink;
  readonly positions: LogPositions;
  readonly logger: Logger;
  /** The engine's buffer: files of this size, at least two. */
  readonly logBuffer: { readonly maxBytes: number; readonly files: number };
}

export interface LogSizes {
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
}

interface Journalled {
  readonly cursor: string;
  readonly stdout: number;
  readonly stderr: number;
}

/** Past this much waiting for the sink in one reading, the sink comes first. */
const flushBytes = 256 * 1024;
const journalEveryMs = 500;
/** Of a first reading: so much is held until it is known whether the beginning is still there. */
const holdBytes = 1024 * 1024;

/**
 * Copies one container's output into the sink while it runs and after its end, over restarts of agent and engine.
 *
 * What was kept is read from a consistent view of all files of the engine's buffer. Following goes on from there, but engines up to 22 lose a whole file
 * without a word when two rotations happen while the follower reads one. So a following ends after a part of a file's size, and the next consistent reading counts
 * again from before it: lines lost meanwhile are told, exactly.
 */
export class LogReader {
  readonly #deps: LogReaderDeps;
  readonly #run: Run;
  readonly #containerId: string;
  readonly #stop = new AbortController();
  #cursor = LogCursor.start();
  #writer: LogWriter | undefined;
  #following: Promise<void> | undefined;
  #journalledAt = 0;

  constructor(deps: LogReaderDeps, run: Run, containerId: string) {
    this.#deps = deps;
    this.#run = run;
    this.#containerId = containerId;
  }

  /** Reads along until stopped or finished. `onEnd`: the engine ended the stream, so the container may have ended too. */
  follow(onEnd: () => void): void {
    this.#following ??= this.#follow(onEnd).catch((error: unknown) => {
      if (!this.#stop.signal.aborted)
        this.#deps.logger.error("reading output failed", { run: runKey(this.#run), error });
    });
  }

  /** Lets go; what was read is noted. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  /** The container ended: reads the rest. Resolves when the sink has all of it; tries until it succeeds or is aborted. */
  async finish(signal: AbortSignal): Promise<LogSizes> {
    await this.close();
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#read(false, signal);
        const { stdout, stderr } = this.#writer!.offsets;
        return { stdoutBytes: stdout, stderrBytes: stderr };
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof EngineError && (error.status === 404 || error.status === 409)) return this.#sizes();
        this.#deps.logger.warn("output could not be read; trying again", { run: runKey(this.#run), error });
        this.#writer = undefined;
        await sleep(backoffMs(attempt, Math.random, { baseMs: 100, maxMs: 5000 }), signal);
      }
    }
  }

  async #sizes(): Promise<LogSizes> {
    const { stdout, stderr } = (this.#writer ?? (await this.#open())).offsets;
    return { stdoutBytes: stdout, stderrBytes: stderr };
  }

  async #follow(onEnd: () => void): Promise<void> {
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted;) {
      try {
        // As long as there is much to read, following would only fall behind.
        const bytes = await this.#read(false, signal);
        if (bytes > flushBytes) continue;
        const followed = await this.#read(true, signal);
        if (followed === 0) onEnd();
        failures = followed === 0 ? failures + 1 : 0;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof EngineError && error.status === 404) return onEnd();
        this.#deps.logger.debug("output could not be read; trying again", { run: runKey(this.#run), error });
        this.#writer = undefined;
        failures += 1;
      }
      if (failures > 0)
        await sleep(backoffMs(failures, Math.random, { baseMs: 100, maxMs: 5000 }), signal).catch(() => {});
    }
  }

  async #open(): Promise<LogWriter> {
    const noted = this.#deps.positions.get(runKey(this.#run));
    const { cursor, stdout, stderr } =
      noted === undefined ? { cursor: undefined, stdout: 0, stderr: 0 } : (JSON.parse(noted) as Journalled);
    let writer = await LogWriter.open(this.#run, this.#deps.sink, { stdout, stderr });
    if (writer.sinkFellBack) writer = await LogWriter.open(this.#run, this.#deps.sink, { stdout: 0, stderr: 0 });
    this.#cursor =
      cursor === undefined || writer.offsets.stdout + writer.offsets.stderr !== stdout + stderr
        ? LogCursor.start()
        : LogCursor.parse(cursor);
    return writer;
  }

  /** One reading of what is kept, or a following of what comes; resolves with the number of new bytes. The sink has them all then. */
  async #read(follow: boolean, signal: AbortSignal, afterGap = false): Promise<number> {
    const writer = (this.#writer ??= await this.#open());
    const cursor = this.#cursor;
    const parser = new FrameParser();
    const since = cursor.since;
    const limit = new AbortController();
    const followBytes = this.#deps.logBuffer.maxBytes / 4;
    const opening = follow || !cursor.isFresh ? undefined : new Opening();
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
          if (verdict !== true) {
            writer.writeLine("lines" in verdict ? verdict.stream : writer.mainStream, gapLine(verdict));
            this.#deps.logger.warn("output is missing", { run: runKey(this.#run), ...verdict });
            if ("lines" in verdict) continue;
          }
          fresh += entry.text.length + 32;
          if (opening?.hold(entry)) continue;
          writer.write(entry.stream, entry.text);
        }
        if (opening && opening.bytes > holdBytes) opening.release(writer, await this.#mayHaveLost(signal));
        if (follow || writer.waitingBytes > flushBytes) await this.#flush(writer);
        // Past a part of a file, or where the place was not found, only a consistent view will do.
        if (follow && (fresh > followBytes || cursor.searching)) limit.abort();
      }
      if (!stream.complete) throw new EngineError(0, "the engine cut off the output");
      opening?.release(writer, opening.bytes >= this.#evictingBytes);
    } catch (error) {
      if (!limit.signal.aborted || signal.aborted) {
        // What is still held was not written: it is read again.
        if (opening?.holds) this.#writer = undefined;
        else await this.#flush(writer, true);
        throw error;
      }
    } finally {
      await drop(stream);
    }
    await this.#flush(writer, true);
    if (follow || !cursor.lost) return fresh;
    return afterGap ? fresh : this.#read(false, signal, true);
  }

  /** An engine that has thrown a file away has all its others full. */
  get #evictingBytes(): number {
    const { maxBytes, files } = this.#deps.logBuffer;
    return maxBytes * (files - 1);
  }

  /** Whether so much is kept that the engine may have thrown away what was before it. */
  async #mayHaveLost(signal: AbortSignal): Promise<boolean> {
    const stream = await this.#deps.client.logs(this.#containerId, { follow: false }, signal);
    const parser = new FrameParser();
    let bytes = 0;
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        for (const entry of parser.feed(chunk)) bytes += mostBytes(entry);
        if (bytes >= this.#evictingBytes) return true;
      }
      return false;
    } finally {
      await drop(stream);
    }
  }

  /** Everything that was taken goes to the sink; only then the place is noted. */
  async #flush(writer: LogWriter, now = false): Promise<void> {
    await writer.flush();
    const at = performance.now();
    if (!now && at - this.#journalledAt < journalEveryMs) return;
    this.#journalledAt = at;
    const { stdout, stderr } = writer.offsets;
    if (stdout + stderr === 0) return;
    this.#deps.positions.set(
      runKey(this.#run),
      JSON.stringify({ cursor: this.#cursor.toString(), stdout, stderr } satisfies Journalled),
    );
  }
}

/** Holds the beginning of an output back, so that a mark can come before it. */
class Opening {
  #held: LogEntry[] | undefined = [];
  bytes = 0;

  get holds(): boolean {
    return this.#held !== undefined;
  }

  /** False once it is released. */
  hold(entry: LogEntry): boolean {
    if (this.#held === undefined) return false;
    this.#held.push(entry);
    this.bytes += mostBytes(entry);
    return true;
  }

  release(writer: LogWriter, mayHaveLost: boolean): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.bytes = 0;
    if (mayHaveLost && held[0]) writer.writeLine(held[0].stream, beginningLine);
    for (const { stream, text } of held) writer.write(stream, text);
  }
}

/** What an entry may take in the engine's file; parts of long lines carry more with them. */
const mostBytes = ({ text }: LogEntry): number => text.length + (text[text.length - 1] === 0x0a ? 40 : 120);

async function drop(stream: IncomingMessage): Promise<void> {
  if (stream.destroyed && stream.closed) return;
  stream.destroy();
  if (!stream.closed) await once(stream, "close").catch(() => {});
}
