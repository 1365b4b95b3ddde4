import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import { backoffMs, sleep } from "@berth/runtime";
import type { OutputDeps } from "./engine-log.ts";
import { FrameSplitter } from "./log-frames.ts";
import { LogWriter } from "./log-writer.ts";
import { noNote, OutputNotes } from "./output-note.ts";

/** Most bytes in memory that wait for the sink. Above it the container's writes block. */
const mostWaitingBytes = 1024 * 1024;
/** Longest time for which the container is blocked. Engines drop output that is not read within 2 s of the container's end. */
const mostBlockedMs = 1000;

/** How the copy of a live stream ended. closed: by the engine, at the container's end or the engine's own. given_up: the sink took too long. stopped: by `close`. */
export type LiveEnd = "closed" | "given_up" | "stopped";

/**
 * Copies the output of one container into the sink, byte for byte and from its start. The engine sends it as it comes, and blocks the container's writes if the
 * agent is slower, so nothing is lost. If the agent dies, the container continues unblocked.
 */
export class LiveOutput {
  readonly #deps: OutputDeps;
  readonly #run: Run;
  readonly #notes: OutputNotes;
  readonly #stream: IncomingMessage;
  readonly #stop = new AbortController();
  #writer: LogWriter | undefined;
  #flushing: Promise<void> | undefined;
  #lastChunkAt = performance.now();
  #blocked = false;
  readonly ended: Promise<LiveEnd>;

  /** `stream`: attached before the container's start. */
  constructor(deps: OutputDeps, run: Run, stream: IncomingMessage) {
    this.#deps = deps;
    this.#run = run;
    this.#stream = stream;
    this.#notes = new OutputNotes(deps.positions, runKey(run));
    this.ended = this.#copy();
  }

  /** Milliseconds since the last output; 0 while the sink blocks the stream. */
  get idleMs(): number {
    return this.#blocked ? 0 : performance.now() - this.#lastChunkAt;
  }

  /** Stops copying, and notes how much the sink has. The rest is read from the engine's log. */
  async close(): Promise<void> {
    this.#stop.abort(new Error("closed"));
    this.#stream.destroy();
    await this.ended;
    if (this.#writer) this.#note(this.#writer, true);
  }

  /** After `closed`: resolves when the sink has all output; retries until it succeeds or is aborted. */
  async stored(signal: AbortSignal): Promise<Record<"stdout" | "stderr", number>> {
    const writer = await this.#opened(signal);
    while (writer.waitingBytes > 0) {
      signal.throwIfAborted();
      await this.#flush(writer, signal);
    }
    return writer.offsets;
  }

  async #copy(): Promise<LiveEnd> {
    const { signal } = this.#stop;
    const frames = new FrameSplitter();
    try {
      for await (const chunk of this.#stream as AsyncIterable<Buffer>) {
        this.#lastChunkAt = performance.now();
        const writer = this.#writer ?? (await this.#within(this.#opened(signal)));
        for (const { stream, bytes } of frames.feed(chunk)) writer.write(stream, bytes);
        const flushed = this.#flush(writer, signal);
        if (writer.waitingBytes > mostWaitingBytes) await this.#within(flushed);
      }
      if (this.#writer?.waitingBytes) await this.#within(this.#flush(this.#writer, signal));
      return signal.aborted ? "stopped" : frames.isCutOff ? "given_up" : "closed";
    } catch (error) {
      if (signal.aborted) return "stopped";
      this.#deps.logger.warn("output is read from the engine's log from here on", { run: runKey(this.#run), error });
      return "given_up";
    } finally {
      this.#stream.destroy();
      if (!this.#stream.closed) await once(this.#stream, "close").catch(() => {});
    }
  }

  async #opened(signal: AbortSignal): Promise<LogWriter> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return (this.#writer ??= await LogWriter.open(this.#run, this.#deps.sink, noNote.offsets));
      } catch (error) {
        await this.#pause(attempt, error, signal);
      }
    }
  }

  /** Runs one flush at a time, which also takes bytes that arrive during it. */
  #flush(writer: LogWriter, signal: AbortSignal): Promise<void> {
    this.#flushing ??= this.#flushAll(writer, signal).finally(() => (this.#flushing = undefined));
    // The callers that await it get the failure.
    this.#flushing.catch(() => {});
    return this.#flushing;
  }

  async #flushAll(writer: LogWriter, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; writer.waitingBytes > 0;) {
      try {
        await writer.flush();
        this.#note(writer);
        attempt = 1;
      } catch (error) {
        await this.#pause(attempt, error, signal);
        attempt += 1;
      }
    }
  }

  async #pause(attempt: number, error: unknown, signal: AbortSignal): Promise<void> {
    if (attempt === 1)
      this.#deps.logger.warn("output could not be stored; trying again", { run: runKey(this.#run), error });
    await sleep(backoffMs(attempt, Math.random, { baseMs: 100, maxMs: 5000 }), signal);
  }

  /** Waits for `work`, at most `mostBlockedMs`. Meanwhile the container's writes are blocked. */
  async #within<T>(work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    this.#blocked = true;
    try {
      return await Promise.race([
        work,
        new Promise<never>((_, reject) => {
          timer = setTimeout(() => reject(new Error("the sink takes too long")), mostBlockedMs);
        }),
      ]);
    } finally {
      clearTimeout(timer);
      this.#blocked = false;
      this.#lastChunkAt = performance.now();
    }
  }

  #note(writer: LogWriter, now = false): void {
    const offsets = writer.storedOffsets;
    const { stdout, stderr } = writer.tails;
    this.#notes.write(
      offsets.stdout + offsets.stderr,
      () => ({
        offsets,
        lost: noNote.lost,
        tails: { stdout: stdout.toString("base64"), stderr: stderr.toString("base64") },
        atMs: Date.now(),
      }),
      now,
    );
  }
}
