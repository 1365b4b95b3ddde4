import type { AssignReply, AssignRequest, SyncReply } from "@berth/contracts/agent";
import { AppError } from "@berth/core";
import { isLive } from "../domain/held-run.ts";
import { askEveryMs } from "../domain/lease.ts";
import type { AgentDeps } from "./agent-deps.ts";
import type { React } from "./draft.ts";
import { effectRunner } from "./effect-runner.ts";
import type { Effect } from "./effects.ts";
import { HostName } from "./host-name.ts";
import { LiveState } from "./host-state.ts";
import { LimitTimer } from "./limit-timer.ts";
import { forgetOldKeys, loadJournal } from "./load-journal.ts";
import { withOffers } from "./offers.ts";
import type { Offers } from "./offers.ts";
import { PlacesAhead } from "./places-ahead.ts";
import { onAnswers, onAssign, onEvents, onFirstBatch, onSaved, onSyncReply } from "./reactor.ts";
import { Reporter } from "./reporter.ts";
import { RunTable } from "./run-table.ts";
import { SpecTable } from "./spec-table.ts";
import { StartQueue } from "./start-queue.ts";
import { makeStepRunners } from "./step-runners.ts";
import { syncRequest } from "./sync-request.ts";
import { Syncer } from "./syncer.ts";

const limits: ReadonlySet<string> = new Set(["memory", "memory_watched", "cpu", "pids"]);

/**
 * One host's agent. It starts and stops its parts: sources of events (driver, server, journal, timers), the reactor that decides what each event leads to, and the
 * effect runner that does it.
 */
export class Agent {
  readonly #deps: AgentDeps;
  readonly #specs = new SpecTable();
  readonly #table: RunTable;
  readonly #state: LiveState;
  readonly #stop = new AbortController();
  readonly #syncer: Syncer;
  readonly #limits: LimitTimer;
  readonly #startQueue: StartQueue;
  readonly #name: HostName;
  readonly #run: (effects: readonly Effect[]) => void;
  #ready = false;
  #enforced: readonly string[] = [];

  constructor(deps: AgentDeps) {
    this.#deps = deps;
    const react = this.#react;
    const { signal } = this.#stop;
    const table = new RunTable(deps.journal, deps.logger, (keys) => react((host, now) => onSaved(host, keys, now)));
    this.#table = table;
    this.#state = new LiveState({ ...deps, table, waiting: () => this.#startQueue.size });
    this.#name = new HostName({
      ...deps,
      onOurs: () => {
        reporter.send();
        this.#startQueue.startSome();
      },
    });
    this.#limits = new LimitTimer(table, deps.clock, react);
    const reporter = new Reporter(
      {
        ...deps,
        get: (key) => table.get(key),
        traceParentOf: ({ specId }) => (specId === undefined ? "" : (this.#specs.get(specId)?.traceParent ?? "")),
        enforced: () => this.#enforced,
        busy: () => this.#startQueue.size > 0,
        maySend: () => this.#name.isOurs,
        onAnswers: (answers) => react((host) => onAnswers(host, answers)),
      },
      signal,
    );
    this.#syncer = new Syncer(
      {
        ...deps,
        request: () => syncRequest(deps, table.values(), this.#state.term, this.#enforced),
        onReply: (reply, askedElapsedMs) => this.#onSyncReply(reply, askedElapsedMs),
        onRefused: (reason) => this.#name.refused(reason),
        everyMs: () => askEveryMs(table.values()),
      },
      signal,
    );
    const places = new PlacesAhead(deps.files);
    const shared = { ...deps, table, specs: this.#specs, places, reporter, react, signal };
    const steps = makeStepRunners({ ...shared, laneOf: (key) => this.#startQueue.laneOf(key) });
    this.#startQueue = new StartQueue({
      ...shared,
      mayStart: () => this.#name.isOurs,
      start: (keys) => steps.start(keys),
    });
    this.#run = effectRunner({
      ...shared,
      state: this.#state,
      steps,
      startQueue: this.#startQueue,
      syncer: this.#syncer,
    });
  }

  readonly #react: React = (event) => {
    this.#run(event(this.#state, this.#deps.clock.now()));
    this.#limits.arm();
  };

  /** Whether the driver has reported the runs it found. The agent takes assignments from then on. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Whether another agent uses this host's name. While it does, this agent starts nothing. */
  get hostNameTaken(): boolean {
    return this.#name.isTaken;
  }

  /** Calls `fn` each time this agent becomes able to take assignments, and aborts its signal when it no longer is. */
  whileAssignable(fn: (signal: AbortSignal) => void): void {
    this.#name.whileOurs((signal) => fn(AbortSignal.any([signal, this.#stop.signal])));
  }

  /** Live runs on this host. */
  get liveRuns(): number {
    return this.#table.liveCount;
  }

  /** Live runs that are frozen because their lease ended. */
  get frozenRuns(): number {
    return [...this.#table.values()].filter((held) => held.frozen && isLive(held)).length;
  }

  /**
   * Reads the journal, opens the driver, compares both, and reacts to events until the signal is aborted. Runs continue after that.
   * Calls `onReady` once, when the agent can take assignments. Rejects if journal or driver fail for good.
   */
  async run(signal: AbortSignal, onReady: () => void = () => {}): Promise<void> {
    const { driver } = this.#deps;
    signal.addEventListener("abort", () => this.#stop.abort(signal.reason), { once: true });
    if (signal.aborted) this.#stop.abort(signal.reason);
    loadJournal({ ...this.#deps, table: this.#table, specs: this.#specs, state: this.#state });
    await driver.open(this.#stop.signal);
    this.#enforced = [...driver.features()].filter((feature) => limits.has(feature));
    const stopForgetting = forgetOldKeys(this.#deps);
    try {
      for await (const told of driver.watchTasks(this.#stop.signal)) {
        const events = this.#deps.deliver(told, (late) => this.#react((host, now) => onEvents(host, [late], now)));
        if (events.length > 0) this.#react((host, now) => onEvents(host, events, now));
        if (this.#ready) continue;
        this.#react((host, now) => onFirstBatch(host, events, now));
        this.#ready = true;
        this.#syncer.wake();
        onReady();
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    } finally {
      this.#stop.abort(new Error("the agent ends"));
      stopForgetting();
      this.#limits.close();
      this.#table.close();
      await driver.close();
    }
  }

  /** Takes over or refuses new runs. Resolves when the decisions are in the journal; rejects with AppError `unavailable` if the agent can decide nothing yet. */
  async onAssign(request: AssignRequest): Promise<AssignReply> {
    if (!this.#ready) throw new AppError("unavailable", "AGENT_STARTING", "the agent is not ready yet");
    if (!this.#name.isOurs)
      throw new AppError("unavailable", "HOST_NAME_TAKEN", "this agent does not speak for its host name");
    this.#withOffers(request, (offers) => this.#react((host, now) => onAssign(host, offers, now)));
    await this.#table.saved();
    return {};
  }

  /** Sends a sync now, because the server has something for this host or the bus has reconnected. */
  wake(): void {
    if (this.#ready && !this.#name.isTaken) this.#syncer.wake();
  }

  #onSyncReply(reply: SyncReply, askedElapsedMs: number): void {
    const take = (missing?: Offers): void =>
      this.#react((host, now) => onSyncReply(host, reply, missing, askedElapsedMs, now));
    if (reply.missing && reply.missing.assignments.length > 0) this.#withOffers(reply.missing, take);
    else take();
    // Only after the verdicts: from here on waiting runs start, and one that this reply stops must not.
    this.#name.accepted();
  }

  #withOffers(request: AssignRequest, fn: (offers: Offers) => void): void {
    const { logger, onRefused = () => {} } = this.#deps;
    withOffers({ specs: this.#specs, logger, onRefused }, request, fn);
  }
}
