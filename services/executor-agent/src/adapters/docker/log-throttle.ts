import type { IncomingMessage } from "node:http";
import { EngineError } from "./engine-client.ts";
import type { EngineClient } from "./engine-client.ts";

/** How far the container may be ahead of the log's reader. It may write half a byte more per byte that is read, so an older backlog shrinks. */
const aheadBytes = 1024 * 1024;
/**
 * Longest wait per chunk. Engines drop output that is not read within 2 s of a container's end: up to 64 KiB in the container's pipe and as much in the engine. A
 * chunk has 32 KiB or more, so at this rate all of it is read in time.
 */
const chunkMs = 250;
/** If the reader makes no progress for this long, its sink is blocked, and the throttle stops: the log is the buffer for that case. */
const patienceMs = 1000;

/**
 * Slows a running container down to the speed of the log's reader, because the engine deletes old parts of a log, read or not. It attaches to the live stream and
 * discards it at the reader's speed. If the reader stalls, it detaches, and the container continues unblocked.
 */
export class LogThrottle {
  readonly #readBytes: () => number;
  readonly #stop = new AbortController();
  #stream: IncomingMessage | undefined;
  #progress = Promise.withResolvers<void>();
  #advancedAt = performance.now();

  /** `readBytes`: bytes of output that the reader has taken from the log. */
  constructor(readBytes: () => number) {
    this.#readBytes = readBytes;
  }

  /** Does nothing if the engine refuses the attach; then the container is not throttled. */
  async start(client: EngineClient, containerId: string): Promise<void> {
    try {
      this.#stream = await client.attach(containerId, this.#stop.signal);
    } catch (error) {
      if (error instanceof EngineError) return;
      throw error;
    }
    void this.#run(this.#stream).catch(() => {});
  }

  /** To be called when the reader has made progress. */
  advanced(): void {
    this.#advancedAt = performance.now();
    this.#progress.resolve();
    this.#progress = Promise.withResolvers();
  }

  stop(): void {
    this.#stop.abort();
    this.#stream?.destroy();
    this.#progress.resolve();
  }

  async #run(stream: IncomingMessage): Promise<void> {
    const from = this.#readBytes();
    let passed = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      passed += chunk.length;
      const until = performance.now() + chunkMs;
      while (passed > aheadBytes + (this.#readBytes() - from) / 2 && performance.now() < until) {
        await this.#progressedBefore(until);
        if (performance.now() - this.#advancedAt > patienceMs) return this.stop();
      }
    }
  }

  async #progressedBefore(until: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, until - performance.now())));
    await Promise.race([this.#progress.promise, late]);
    clearTimeout(timer);
  }
}
