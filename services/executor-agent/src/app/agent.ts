import type { AssignReply, AssignRequest, SyncReply, SyncRequest } from "@berth/contracts/agent";
import { AppError, runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { DriverEvent } from "@berth/plugins";
import { isLive, isOfThisLife } from "../domain/held-run.ts";
import type { Answer, HeldRun } from "../domain/held-run.ts";
import { askEveryMs, isToStand, onLease } from "../domain/lease.ts";
import { adopted, onAbsent, onAnswer, onDriverNews } from "../domain/news.ts";
import { nextSteps } from "../domain/steps.ts";
import type { StepName } from "../domain/steps.ts";
import type { AgentDeps } from "./agent-deps.ts";
import { newsOf } from "./driver-news.ts";
import { HostName } from "./host-name.ts";
import { Intake } from "./intake.ts";
import { LimitTimer } from "./limit-timer.ts";
import { forgetOldKeys, loadJournal } from "./load-journal.ts";
import { PlacesAhead } from "./places-ahead.ts";
import { Reporter } from "./reporter.ts";
import { RunTable } from "./run-table.ts";
import { SpecTable } from "./spec-table.ts";
import { makeStepRunners } from "./step-runners.ts";
import type { StepRunners } from "./step-runners.ts";
import { syncRequest } from "./sync-request.ts";
import { Syncer } from "./syncer.ts";
import { takeVerdicts } from "./verdicts.ts";
import { WaitingRoom } from "./waiting-room.ts";

const limits: ReadonlySet<string> = new Set(["memory", "memory_watched", "cpu", "pids"]);

/** One host's agent: what it should run in, what the driver is told out. */
export class Agent {
  readonly #deps: AgentDeps;
  readonly #specs = new SpecTable();
  readonly #table: RunTable;
  readonly #stop = new AbortController();
  readonly #reporter: Reporter;
  readonly #syncer: Syncer;
  readonly #runners: StepRunners;
  readonly #limits: LimitTimer;
  readonly #waiting: WaitingRoom;
  readonly #intake: Intake;
  readonly #name: HostName;
  #epoch = "";
  #ready = false;
  #canSuspend = false;
  #enforced: readonly string[] = [];

  constructor(deps: AgentDeps) {
    this.#deps = deps;
    this.#table = new RunTable(deps.journal, deps.logger, (keys) => this.#act(keys));
    this.#name = new HostName({
      ...deps,
      onOurs: () => {
        this.#reporter.send();
        this.#waiting.startSome();
      },
    });
    this.#limits = new LimitTimer(this.#table, deps.clock);
    this.#reporter = new Reporter(
      {
        control: deps.control,
        logger: deps.logger,
        random: deps.random,
        get: (key) => this.#table.get(key),
        traceParentOf: ({ specId }) => (specId === undefined ? "" : (this.#specs.get(specId)?.traceParent ?? "")),
        enforced: () => this.#enforced,
        busy: () => this.#waiting.size > 0,
        maySend: () => this.#name.isOurs,
        onAnswers: (answers) => this.#onAnswers(answers),
      },
      this.#stop.signal,
    );
    this.#syncer = new Syncer(
      {
        control: deps.control,
        logger: deps.logger,
        random: deps.random,
        clock: deps.clock,
        request: () => this.#syncRequest(),
        onReply: (reply, askedElapsedMs) => this.#onSyncReply(reply, askedElapsedMs),
        onRefused: (reason) => this.#name.refused(reason),
        everyMs: () => askEveryMs(this.#table.values()),
      },
      this.#stop.signal,
    );
    const places = new PlacesAhead(deps.files);
    const shared = { ...deps, table: this.#table, specs: this.#specs, places, signal: this.#stop.signal };
    this.#runners = makeStepRunners({
      ...shared,
      reporter: this.#reporter,
      onEvents: (events) => this.#onEvents(events),
      laneOf: (key) => this.#waiting.laneOf(key),
    });
    this.#waiting = new WaitingRoom({
      ...shared,
      mayStart: () => this.#name.isOurs,
      start: (keys) => this.#runners.start(keys, deps.clock.now()),
    });
    this.#intake = new Intake({
      ...shared,
      waiting: () => this.#waiting.size,
      askWithin: (ms) => this.#syncer.within(ms),
      onRefused: deps.onRefused ?? (() => {}),
    });
  }

  /** Whether the driver has told what it found; assignments are taken from then on. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Whether another agent uses this host's name: then this one starts nothing. */
  get hostNameTaken(): boolean {
    return this.#name.isTaken;
  }

  /** Calls it whenever assignments can be taken; its signal is aborted when they cannot any more. */
  whileAssignable(fn: (signal: AbortSignal) => void): void {
    this.#name.whileOurs((signal) => fn(AbortSignal.any([signal, this.#stop.signal])));
  }

  /** Live runs on this host. */
  get liveRuns(): number {
    return this.#table.liveCount;
  }

  /** Those of them that stand still because their lease ended. */
  get frozenRuns(): number {
    return [...this.#table.values()].filter((held) => held.frozen && isLive(held)).length;
  }

  /**
   * Reads the journal, opens the driver, judges what it finds, and keeps this host as it should be until the signal is aborted; what runs then runs on.
   * `onReady` is called once, when assignments can be taken. Rejects where journal or driver fail for good.
   */
  async run(signal: AbortSignal, onReady: () => void = () => {}): Promise<void> {
    const { driver } = this.#deps;
    signal.addEventListener("abort", () => this.#stop.abort(signal.reason), { once: true });
    if (signal.aborted) this.#stop.abort(signal.reason);
    loadJournal({ ...this.#deps, table: this.#table, specs: this.#specs, intake: this.#intake });
    await driver.open(this.#stop.signal);
    this.#canSuspend = driver.features().has("suspend");
    this.#enforced = [...driver.features()].filter((feature) => limits.has(feature));
    const stopForgetting = forgetOldKeys(this.#deps);
    try {
      for await (const told of driver.watchTasks(this.#stop.signal)) {
        const events = this.#deps.deliver(told, (event) => this.#onEvents([event]));
        this.#onEvents(events);
        if (this.#ready) continue;
        this.#judgeAbsent(events);
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

  /** Takes over new runs. Resolves when they are in the journal, accepted or refused; rejects with AppError `unavailable` where it cannot say. */
  async onAssign(request: AssignRequest): Promise<AssignReply> {
    if (!this.#ready) throw new AppError("unavailable", "AGENT_STARTING", "the agent is not ready yet");
    if (!this.#name.isOurs)
      throw new AppError("unavailable", "HOST_NAME_TAKEN", "this agent does not speak for its host name");
    this.#intake.admit(request);
    await this.#table.saved();
    return {};
  }

  /** Something concerns this host: ask what. Also after a reconnect. */
  wake(): void {
    if (this.#ready && !this.#name.isTaken) this.#syncer.wake();
  }

  /** After the driver's first batch: what it did not name is not there. */
  #judgeAbsent(found: readonly DriverEvent[]): void {
    const there = new Set(found.map(({ run }) => runKey(run)));
    const all = [...this.#table.values()];
    const now = this.#deps.clock.now();
    for (const held of all) {
      // What is overdue stands still before anything else happens: it may run elsewhere soon.
      const judged = onLease(isLive(held) && !there.has(held.key) ? onAbsent(held, now) : held, now);
      if (judged !== held) this.#table.change(judged, "now");
    }
    this.#table.commit();
    // All of them, changed or not: ends that were not answered, stops that were not carried out.
    this.#table.actNow(all.map(({ key }) => key));
    this.#waiting.giveBackFound(found);
  }

  #onEvents(events: readonly DriverEvent[]): void {
    if (events.length === 0) return;
    const now = this.#deps.clock.now();
    const leftOver: Run[] = [];
    let urgent = false;
    for (const event of events) {
      const key = runKey(event.run);
      let held = this.#table.get(key);
      if (!held) {
        if (this.#table.isHeld(key)) {
          leftOver.push(event.run);
          continue;
        }
        // What stands still does so until it is known why: it may be that its lease ended, and that it runs elsewhere by now. The same may be true of what has a
        // lease of which only the journal knew how long it still was.
        const frozen = event.kind === "found" && (event.suspended || event.leased === true);
        held = { ...adopted(key, event.run), frozen };
        this.#deps.logger.warn("found a run that the journal does not have", {
          task: event.run.taskId,
          attempt: event.run.attempt,
        });
      }
      const next = onDriverNews(held, newsOf(event), now);
      if (next === held) continue;
      const over = !isLive(next);
      urgent ||= over;
      this.#table.change(next, over ? "now" : isOfThisLife(next) ? "memory" : "soon");
      if (over) {
        this.#waiting.onOver(key);
        this.#noteEnd(next);
      } else {
        this.#reporter.add(next);
        if (next.stop || isToStand(next)) this.#table.change(next, "now");
      }
    }
    // Their ends were stored for good; the agent died before it could tell the driver.
    if (leftOver.length > 0) void this.#deps.driver.settle(leftOver).catch(() => {});
    if (urgent) {
      this.#table.commit();
      this.#waiting.startSome();
    }
    this.#limits.arm();
  }

  #noteEnd(held: HeldRun): void {
    if (held.phase.kind === "ended")
      this.#deps.onEnd(held, held.phase.end, held.specId === undefined ? undefined : this.#specs.get(held.specId));
    else if (held.phase.kind === "refused")
      this.#deps.logger.warn("a run could not be started here", {
        task: held.run.taskId,
        attempt: held.run.attempt,
        reason: held.phase.reason,
      });
  }

  #onAnswers(answers: readonly { readonly key: string; readonly answer: Answer }[]): void {
    const keys: string[] = [];
    for (const { key, answer } of answers) {
      const held = this.#table.get(key);
      if (!held) continue;
      this.#table.change(onAnswer(held, answer), "memory");
      keys.push(key);
    }
    this.#table.actNow(keys);
  }

  #onSyncReply({ verdicts, missing, term, epoch }: SyncReply, askedElapsedMs: number): void {
    this.#name.accepted();
    this.#intake.noteHeard(askedElapsedMs);
    takeVerdicts({ ...this.#deps, table: this.#table }, verdicts, askedElapsedMs);
    this.#limits.arm();
    if (missing && missing.assignments.length > 0) this.#intake.admit(missing);
    this.#epoch = epoch;
    this.#intake.noteTerm(epoch, term);
  }

  #syncRequest(): SyncRequest {
    return syncRequest(this.#deps, this.#table.values(), this.#intake.termOf(this.#epoch), this.#enforced);
  }

  /** Runs the next steps of these runs, all of one kind together. */
  #act(keys: readonly string[]): void {
    const now = this.#deps.clock.now();
    const todo = new Map<StepName, string[]>();
    for (const key of keys) {
      const held = this.#table.get(key);
      if (!held) continue;
      for (const { name } of nextSteps(held, now, { suspend: this.#canSuspend })) {
        const list = todo.get(name);
        if (list) list.push(key);
        else todo.set(name, [key]);
      }
    }
    for (const [name, its] of todo) {
      if (name === "start") this.#waiting.add(its);
      else this.#runners[name](its, now);
    }
    this.#limits.arm();
  }
}
