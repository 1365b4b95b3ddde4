import type { Reason } from "@berth/core";
import { backoffMs, sleep } from "@berth/runtime";
import type { Logger } from "@berth/runtime";
import { EngineError } from "./engine-client.ts";
import type { ContainerDetails, ContainerState, EngineClient } from "./engine-client.ts";
import type { Outages } from "./engine-watch.ts";
import type { HeldContainer } from "./held-container.ts";
import { FrameParser } from "./log-frames.ts";
import { argumentsTooLong, commandNotExecutable, commandNotFound } from "./not-started.ts";
import { startedAt } from "./run-starter.ts";
import type { RunEvents } from "./run-events.ts";
import type { OutputOf, OutputSizes } from "./run-output.ts";
import { laterUsage } from "./usage.ts";
import type { UsageMeter } from "./usage.ts";

export interface RunEnderDeps {
  readonly client: EngineClient;
  readonly meter: UsageMeter;
  readonly outages: Outages;
  readonly logger: Logger;
  readonly stop: AbortSignal;
  /** When the engine's machine was booted; undefined if unknown. */
  readonly bootedAt: Date | undefined;
  readonly events: RunEvents;
  readonly outputOf: OutputOf;
}

/** Exit codes that may mean "the engine stopped", not "the task failed": 137 and 143 (killed at shutdown), 255 (the engine did not see the end). */
const engineStopCodes: ReadonlySet<number> = new Set([137, 143, 255]);
/** Message of the container runtime if the kernel refuses the arguments and environment as too long. */
const tooLong = /^(?:standard_init_linux\.go:\d+: )?exec (?:\S+: |user process caused: )argument list too long\n$/;
/** The whole stderr if docker's init cannot execute the command. */
const initFailure = /^\[FATAL tini \(\d+\)\] exec .+ failed: (.+)\n?$/;

/** Finds out how a run ended, and reports it after the sink has all its output. */
export class RunEnder {
  readonly #deps: RunEnderDeps;

  constructor(deps: RunEnderDeps) {
    this.#deps = deps;
  }

  /** Call it when a run may have ended. Concurrent calls for one run share one inspection; a call during it causes another one afterwards. */
  check(held: HeldContainer): void {
    if (held.phase !== "running") return;
    held.lookAgain = held.ending;
    if (held.ending) return;
    held.ending = true;
    this.#end(held)
      .catch((error: unknown) => {
        if (!this.#deps.stop.aborted)
          this.#deps.logger.error("the end of a run could not be reported", { run: held.key, error });
      })
      .finally(() => {
        held.ending = false;
        if (held.lookAgain) this.check(held);
      });
  }

  /** To be called at the engine's event, which comes late and maybe once for several processes. So the kernel's count is read too, while the container exists. */
  noteOutOfMemory(held: HeldContainer): void {
    held.oomKills += 1;
    void this.#deps.meter.oomKills(held.run, held.containerId!).then((count = 0) => {
      held.oomKills = Math.max(held.oomKills, count);
    });
  }

  async #end(held: HeldContainer): Promise<void> {
    const { stop, meter } = this.#deps;
    const details = await this.#inspect(held);
    // Only the connection broke: the engine restarted and the container still runs.
    if (details?.State.Running) return this.#deps.outputOf(held).goOn(() => this.check(held));
    const engineStayed = !details || !this.#deps.outages.around(new Date(details.State.FinishedAt));
    const sizes = await this.#deps.outputOf(held).finish(stop, engineStayed);
    if (details === undefined) {
      const reason: Reason = {
        code: "CONTAINER_REMOVED",
        message: "its container was removed before the agent saw its end",
      };
      return this.#deps.events.ended(held, {
        kind: "lost",
        run: held.run,
        at: new Date(),
        startedAt: held.startedAt,
        reason,
        ...sizes,
      });
    }
    const at = new Date(details.State.FinishedAt);
    // The engine records a start after it has happened; by then a short run may be over.
    const noted = startedAt(details) ?? held.startedAt;
    const began = noted && noted > at ? at : noted;
    const { ExitCode: exitCode } = details.State;
    if (this.#byShutdown(details.State, at)) {
      const reason: Reason = { code: "HOST_REBOOTED", message: "its host was shut down, and ended it" };
      return this.#deps.events.ended(held, { kind: "lost", run: held.run, at, startedAt: began, reason, ...sizes });
    }
    if (await this.#byEngine(held, details.State, at)) {
      const reason: Reason = { code: "ENGINE_RESTARTED", message: "the container engine was stopped, and ended it" };
      return this.#deps.events.ended(held, { kind: "lost", run: held.run, at, startedAt: began, reason, ...sizes });
    }
    const outOfMemory = (held.oomKills > 0 || details.State.OOMKilled) && exitCode !== 0;
    const notExecuted = await this.#notExecuted(held, exitCode, sizes);
    if (notExecuted) return this.#deps.events.ended(held, { kind: "failed", run: held.run, at, reason: notExecuted });
    const usage = laterUsage(
      held.sampled,
      meter.exact ? await meter.read(held.run, details.Id) : { cpuMs: undefined, peakMemoryBytes: undefined },
    );
    const counted = (await meter.oomKills(held.run, details.Id)) ?? 0;
    const oomKills = Math.max(counted, held.oomKills, details.State.OOMKilled ? 1 : 0);
    this.#deps.events.ended(held, {
      kind: "ended",
      run: held.run,
      startedAt: began,
      at,
      exitCode,
      signal: signalOf(held, exitCode, outOfMemory),
      outOfMemory,
      usage: { ...usage, ...(oomKills > 0 && { oomKills }) },
      ...sizes,
    });
  }

  /** Undefined if the container does not exist. Waits for an engine that does not answer. */
  async #inspect(held: HeldContainer): Promise<ContainerDetails | undefined> {
    const { client, stop, outages } = this.#deps;
    for (let failures = 1; ; failures += 1) {
      try {
        return await client.inspect(held.containerId!, stop);
      } catch (error) {
        stop.throwIfAborted();
        if (error instanceof EngineError && error.status === 404) return undefined;
        if (error instanceof EngineError && error.status === 0) outages.begin();
        await sleep(backoffMs(failures, Math.random, { baseMs: 100, maxMs: 2000 }), stop);
      }
    }
  }

  /** Whether the shutdown before the machine's last boot ended it. A run that ran out of memory ended for its own reason. */
  #byShutdown({ ExitCode, OOMKilled }: ContainerState, at: Date): boolean {
    const { bootedAt } = this.#deps;
    return bootedAt !== undefined && at < bootedAt && engineStopCodes.has(ExitCode) && !OOMKilled;
  }

  /** Whether a stopping engine ended it. */
  async #byEngine(held: HeldContainer, { ExitCode, OOMKilled }: ContainerState, at: Date): Promise<boolean> {
    const { client, outages } = this.#deps;
    if (!engineStopCodes.has(ExitCode) || OOMKilled || held.oomKills > 0 || held.killed !== undefined) return false;
    // A stopping engine first refuses new connections, then ends its containers.
    if (!(await client.takesConnections())) outages.begin();
    return outages.around(at);
  }

  /** Why the command was not executed. The container runtime and docker's init report that only in the task's stderr. */
  async #notExecuted(held: HeldContainer, exitCode: number, sizes: OutputSizes): Promise<Reason | undefined> {
    const { stdoutBytes, stderrBytes } = sizes;
    if (![1, 126, 127].includes(exitCode) || stdoutBytes > 0 || stderrBytes === 0 || stderrBytes > 5000)
      return undefined;
    if (exitCode === 1 && stderrBytes > 200) return undefined;
    const parser = new FrameParser();
    let said = "";
    const stream = await this.#deps.client.logs(
      held.containerId!,
      { follow: false, stderrOnly: true },
      this.#deps.stop,
    );
    for await (const chunk of stream as AsyncIterable<Buffer>)
      for (const { text } of parser.feed(chunk)) said += text.toString();
    if (exitCode === 1) return tooLong.test(said) ? argumentsTooLong : undefined;
    const why = initFailure.exec(said)?.[1];
    if (why === undefined) return undefined;
    return /no such file/i.test(why) ? commandNotFound(held.task) : commandNotExecutable(held.task, why);
  }
}

/** ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS: signals of crashes. Hardly any program returns their codes on purpose. */
const crashes: ReadonlySet<number> = new Set([4, 5, 6, 7, 8, 11, 31]);

/**
 * The signal that ended the run. The engine reports a signal only as exit code 128 + n, which a program may also return. So a code counts as a signal only if the
 * agent sent that signal, if the kernel killed the run for its memory, or if the signal is one of a crash.
 */
function signalOf({ killed }: HeldContainer, exitCode: number, outOfMemory: boolean): number | undefined {
  if (exitCode === 137 && (killed === "KILL" || outOfMemory)) return 9;
  if (exitCode === 143 && killed !== undefined) return 15;
  return crashes.has(exitCode - 128) ? exitCode - 128 : undefined;
}
