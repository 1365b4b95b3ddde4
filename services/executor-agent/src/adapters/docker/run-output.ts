import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { LostOutput } from "@berth/plugins";
import { backoffMs, sleep } from "@berth/runtime";
import { EngineError } from "./engine-client.ts";
import { EngineLog } from "./engine-log.ts";
import type { OutputDeps } from "./engine-log.ts";
import type { HeldContainer } from "./held-container.ts";
import { LiveOutput } from "./live-output.ts";
import { LogThrottle } from "./log-throttle.ts";

/** Returns the output object of a run whose container exists; creates it at the first call. */
export type OutputOf = (held: HeldContainer) => RunOutput;

export interface OutputSizes {
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  readonly lostOutput?: LostOutput | undefined;
}

/** While a read returns more than this, the log is read again and not followed: following would fall behind. */
const behindBytes = 256 * 1024;
/** The engine sends the rest of a container's output at its end. After a silence of this length the rest will not come. */
const silentMs = 10_000;

/**
 * Brings one container's output to the sink. If this agent process started the container, the output is copied live. After a restart of agent or engine, or if
 * the sink was too slow, it is read from the engine's log.
 */
export class RunOutput {
  readonly #deps: OutputDeps;
  readonly #run: Run;
  readonly #containerId: string;
  readonly #stop = new AbortController();
  readonly #log: EngineLog;
  #live: LiveOutput | undefined;
  #throttle: LogThrottle | undefined;
  #outlivedStream = false;
  #following: Promise<void> | undefined;

  constructor(deps: OutputDeps, run: Run, containerId: string) {
    this.#deps = deps;
    this.#run = run;
    this.#containerId = containerId;
    this.#log = new EngineLog(deps, run, containerId, () => this.#throttle?.advanced());
  }

  /** Call it before the container's first start. If the engine refuses, its log is read instead. Throws EngineError if the engine does not answer. */
  async attach(signal: AbortSignal): Promise<void> {
    if (this.#live) return;
    try {
      const stream = await this.#deps.client.attach(this.#containerId, signal);
      this.#live = new LiveOutput(this.#deps, this.#run, stream);
    } catch (error) {
      if (!(error instanceof EngineError) || error.status === 0) throw error;
      this.#deps.logger.warn("output is read from the engine's log", { run: runKey(this.#run), error });
    }
  }

  /** Copies output until stopped or finished. Calls `onEnd` when the engine ended the stream, because the container may have ended too. */
  follow(onEnd: () => void): void {
    this.#following ??= this.#follow(onEnd).catch((error: unknown) => {
      if (!this.#stop.signal.aborted)
        this.#deps.logger.error("reading output failed", { run: runKey(this.#run), error });
    });
  }

  /** Continues from the log, because the live stream ended before the container. */
  goOn(onEnd: () => void): void {
    if (!this.#live || this.#outlivedStream) return;
    this.#outlivedStream = true;
    this.#following = undefined;
    this.follow(onEnd);
  }

  /** Stops reading, and notes how far it was read. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#throttle?.stop();
    await this.#live?.close();
    await this.#following;
  }

  /**
   * Reads the rest after the container's end. Resolves when the sink has all of it; retries until it succeeds or is aborted. `engineStayed`: the engine ran until
   * the container's end, so that the end of the live stream is the end of the output.
   */
  async finish(signal: AbortSignal, engineStayed: boolean): Promise<OutputSizes> {
    const live = this.#live;
    if (live && engineStayed && !this.#outlivedStream && (await this.#liveEnd(live, signal))) {
      const { stdout, stderr } = await live.stored(signal);
      return { stdoutBytes: stdout, stderrBytes: stderr };
    }
    await this.close();
    return this.#finishFromLog(signal);
  }

  /** Whether the live stream had all output. */
  async #liveEnd(live: LiveOutput, signal: AbortSignal): Promise<boolean> {
    const { promise: silent, resolve } = Promise.withResolvers<"silent">();
    const watch = setInterval(() => (live.idleMs > silentMs || signal.aborted) && resolve("silent"), 250);
    const end = await Promise.race([live.ended, silent]);
    clearInterval(watch);
    signal.throwIfAborted();
    return end === "closed";
  }

  async #finishFromLog(signal: AbortSignal): Promise<OutputSizes> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#log.read(signal);
        await this.#log.end();
        return await this.#sizes();
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof EngineError && (error.status === 404 || error.status === 409)) return this.#sizes();
        this.#deps.logger.warn("output could not be read; trying again", { run: runKey(this.#run), error });
        this.#log.startOver();
        await sleep(backoffMs(attempt, Math.random, { baseMs: 100, maxMs: 5000 }), signal);
      }
    }
  }

  async #sizes(): Promise<OutputSizes> {
    const { bytes, lost } = await this.#log.sizes();
    return {
      stdoutBytes: bytes.stdout,
      stderrBytes: bytes.stderr,
      ...(lost.stdout + lost.stderr > 0 && { lostOutput: { stdoutBytes: lost.stdout, stderrBytes: lost.stderr } }),
    };
  }

  async #follow(onEnd: () => void): Promise<void> {
    const { signal } = this.#stop;
    if (this.#live) {
      const end = await this.#live.ended;
      if (end !== "given_up" && !this.#outlivedStream) return onEnd();
      await this.#live.close();
    }
    // No throttle after a slow sink: there the log is read so that the container is not blocked.
    if (!this.#live || this.#outlivedStream) {
      this.#throttle = new LogThrottle(() => this.#log.takenBytes);
      await this.#throttle.start(this.#deps.client, this.#containerId);
    }
    for (let failures = 0; !signal.aborted;) {
      try {
        const bytes = await this.#log.read(signal);
        if (bytes > behindBytes) continue;
        const followed = await this.#log.follow(signal);
        if (followed === 0) onEnd();
        failures = followed === 0 ? failures + 1 : 0;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof EngineError && error.status === 404) return onEnd();
        this.#deps.logger.debug("output could not be read; trying again", { run: runKey(this.#run), error });
        this.#log.startOver();
        failures += 1;
      }
      if (failures > 0)
        await sleep(backoffMs(failures, Math.random, { baseMs: 100, maxMs: 5000 }), signal).catch(() => {});
    }
  }
}
