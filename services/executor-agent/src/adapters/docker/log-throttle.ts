import type { IncomingMessage } from "node:http";
import { EngineError } from "./engine-client.ts";
import type { EngineClient } from "./engine-client.ts";

/** The container may be so far ahead of the log's reader, and after that by half of what was read: a backlog from before becomes less. */
const aheadBytes = 1024 * 1024;
/**
 * Engines drop what nobody took within 2 s of a container's end: up to 64 KiB in the container's pipe and as much in the engine's hands. So each chunk, of 32 KiB and
 * more, is taken after this time in any case.
 */
const chunkMs = 250;
/** A reader that gets no further for so long waits for its sink: the log is there for that. */
const patienceMs = 1000;

/**
 * Makes a running container wait for the reader of the engine's log, so that the log does not throw away what was not read. It takes the live stream and drops
 * it, as fast as the reader comes along; where the reader stands still, it lets the container go.
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

  /** Does nothing where the engine does not let us attach: then the container is not throttled. */
  async start(client: EngineClient, containerId: string): Promise<void> {
    try {
      this.#stream = await client.attach(containerId, this.#stop.signal);
    } catch (error) {
      if (error instanceof EngineError) return;
      throw error;
    }
    void this.#run(this.#stream).catch(() => {});
  }

  /** The reader got further. */
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
