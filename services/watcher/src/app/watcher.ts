import type { AssignRequest, ReportReply, ReportRequest } from "@berth/contracts/agent";
import type { Host } from "@berth/contracts/types";
import { AppError, minHostLeaseMs, runKey } from "@berth/core";
import type { Reason, Run } from "@berth/core";
import { HostContacts } from "../domain/host-contacts.ts";
import { RunView } from "../domain/run-view.ts";
import type { FeedRow } from "../domain/run-view.ts";
import { judge, verdictOn } from "../domain/verdicts.ts";
import type { JudgedRun } from "../domain/verdicts.ts";
import type { Instruments, Logger } from "../ports/instruments.ts";
import type { RowReader, RunStore, Waker } from "../ports/run-store.ts";

export interface WatcherDeps {
  readonly store: RunStore;
  readonly waker: Waker;
  readonly instruments: Instruments;
  readonly logger: Logger;
  now(): number;
  /** Time between the end of a run's lease, when its host freezes it, and giving it up. */
  readonly lossMarginMs: number;
  /** Whether messages of hosts can reach this watcher now. */
  canHear(): boolean;
}

/** The parts of an agent's sync that the watcher reads. */
export interface HostSync {
  readonly host: Host;
  readonly hostId: string;
  readonly journalId: string;
  readonly agentId: string;
  readonly runs: readonly Run[];
  /** Those runs whose spec the agent lacks. */
  readonly withoutSpec: readonly Run[];
  /** Those runs that have ended and wait to be settled. */
  readonly over: readonly Run[];
}

export interface SyncAnswer {
  readonly epoch: string;
  readonly term: number;
  readonly verdicts: readonly JudgedRun[];
  readonly missing: AssignRequest | undefined;
}

/** Why an agent is refused: another one with the same host name was heard lately. */
export const hostNameTaken = {
  code: "HOST_NAME_TAKEN",
  message:
    "another agent that uses this host name was heard lately; host names must be unique, so give one of the machines another name",
} as const satisfies Reason;

export interface HostReport {
  readonly hostId: string;
  readonly agentId: string;
  readonly runs: readonly Run[];
  readonly report: ReportRequest;
}

/** The feed sends a message every five seconds at least. If none came for this long, the view is too old to judge by. */
const behindMs = 30_000;
/** If no agent has listed a placement for this long, its host is woken to offer it again. */
const notTakenUpMs = 2_000;
const silentAfterMs = 30_000;
/** Limit of missing runs per sync, because an answer must fit in one message. The rest is offered in later syncs. */
const missingAtOnce = 400;
/** How often storage is asked again about a silent host, and about how many hosts at the same time. */
const loseAgainMs = 5_000;
const loseAtOnce = 20;
/** How often the refusal of an agent is logged, and the other agent woken. */
const refuseLogMs = 2_000;

/** Commits agents' reports, answers their syncs with verdicts, and wakes them. All state is built from the change feed and may be lost at any time. */
export class Watcher implements RowReader {
  readonly #deps: WatcherDeps;
  readonly #contacts: HostContacts;
  #view = new RunView();
  #epoch = "";
  #seenWholeView = false;
  #freshMs = -Infinity;
  readonly #askedToLose = new Map<string, number>();
  /** When a second agent of a host name was refused and that was logged. */
  readonly #refusedMs = new Map<string, number>();

  constructor(deps: WatcherDeps) {
    this.#deps = deps;
    this.#contacts = new HostContacts(deps.now());
  }

  get view(): RunView {
    return this.#view;
  }

  /** Whether the view is complete and current; otherwise no sync is judged. */
  get ready(): boolean {
    return this.#seenWholeView && this.#deps.now() - this.#freshMs < behindMs;
  }

  /** Time since the feed's last message, in milliseconds. */
  get lagMs(): number {
    return this.#deps.now() - this.#freshMs;
  }

  onStart(epoch: string): void {
    if (this.#epoch !== "" && this.#epoch !== epoch)
      this.#deps.logger.warn("the database is another one", { epoch, before: this.#epoch });
    this.#epoch = epoch;
    this.#view = new RunView();
    this.#seenWholeView = false;
  }

  onRows(rows: readonly FeedRow[]): void {
    const now = this.#deps.now();
    for (const row of rows) this.#view.apply(row, now);
    this.#freshMs = now;
    // Ignore requests seen before the first full snapshot: they may be done already. The next sync corrects it.
    const hosts = this.#view.takeToWake();
    if (this.#seenWholeView) this.#wake(hosts, "request");
  }

  onCaughtUp(): void {
    this.#freshMs = this.#deps.now();
    if (this.#seenWholeView) return;
    this.#seenWholeView = true;
    this.#deps.logger.info("watching", { live: this.#view.liveCount, hosts: this.#view.hostCount });
    // Agents whose sync came before the view was complete need not wait for their next turn.
    this.#wake(new Set(this.#view.upHosts()), "request");
  }

  /** Commits a host's reports and then answers. Fails with `denied` HOST_NAME_TAKEN if another agent uses that host name. */
  async report({ hostId, agentId, runs, report }: HostReport): Promise<ReportReply> {
    const speaker = this.#view.agentOf(hostId) ?? "";
    if (speaker !== "" && speaker !== agentId) throw new AppError("denied", hostNameTaken.code, hostNameTaken.message);
    this.#heard(hostId, runs);
    return this.#deps.store.report(report);
  }

  /** The complete list of verdicts for a host. `refused`: another agent uses that host name. Undefined: not now, ask again soon. */
  async sync({
    host,
    hostId,
    journalId,
    agentId,
    runs,
    over,
    withoutSpec,
  }: HostSync): Promise<SyncAnswer | "refused" | undefined> {
    const { store, instruments, waker } = this.#deps;
    const now = this.#deps.now();
    instruments.sync(this.ready);
    if (!this.ready) {
      this.#heard(hostId, runs);
      return undefined;
    }
    const isNewAgent = (this.#view.agentOf(hostId) ?? "") !== agentId;
    if (isNewAgent && (await store.seeHost({ host, unknownRuns: [] })).refused) return this.#refuse(hostId);
    this.#heard(hostId, runs);
    const epoch = this.#epoch;
    const judgement = judge(this.#view, epoch, { hostId, journalId, runs });
    const missing = judgement.missing.slice(0, missingAtOnce);
    const isSteady = this.#contacts.isSteady(hostId, this.#lossGapMs, behindMs, now);
    const first = await this.#lookUp(hostId, judgement.ask, isSteady ? missing : [], isSteady ? withoutSpec : []);
    let verdicts = [
      ...judgement.verdicts,
      ...judgement.ask.map((run, at) => ({ run, verdict: verdictOn(first.known[at] ?? "current") })),
    ];
    const isOver = new Set(over.map(runKey));
    const unknownRuns = verdicts
      .filter(({ run, verdict }) => verdict.kind === "unknown" && !isOver.has(runKey(run)))
      .map(({ run }) => run);
    // Stored before the answer, so that no run is given up after this answer has let it continue.
    const { term, refused } = await store.seeHost({ host, unknownRuns });
    if (refused) return this.#refuse(hostId);
    this.#contacts.noteSeen(hostId, this.#lossGapMs, now);
    let { assign } = first;
    if (!isSteady) {
      // A run may have been given up while its host was silent, and the view may lag. So storage is asked about every run that would continue.
      const goesOn = verdicts.filter(({ verdict }) => verdict.kind !== "stop" && verdict.kind !== "unknown");
      const again = await this.#lookUp(
        hostId,
        goesOn.map(({ run }) => run),
        missing,
        withoutSpec,
      );
      const stops = new Map(goesOn.map(({ run }, at) => [run, verdictOn(again.known[at] ?? "current")]));
      verdicts = verdicts.map((judged) => {
        const verdict = stops.get(judged.run);
        return verdict?.kind === "stop" ? { run: judged.run, verdict } : judged;
      });
      assign = again.assign;
    }
    if (this.#contacts.journalSettled(hostId, journalId, now) && judgement.lost.length > 0)
      await this.#giveUp(hostId, journalId, judgement.lost);
    if (judgement.missing.length > missing.length) waker.wake(hostId);
    for (const { verdict } of verdicts) if (verdict.kind !== "run") instruments.verdict(verdict.kind);
    return { epoch, term, verdicts, missing: assign };
  }

  /** Wakes the host: if its other agent is alive, it syncs immediately and keeps the name. */
  #refuse(hostId: string): "refused" {
    const now = this.#deps.now();
    this.#deps.instruments.duplicateHostName();
    if (now - (this.#refusedMs.get(hostId) ?? -Infinity) < refuseLogMs) return "refused";
    this.#refusedMs.set(hostId, now);
    this.#deps.waker.wake(hostId);
    this.#deps.logger.warn("a second agent uses a host name that must be unique; it is refused and starts nothing", {
      hostId,
    });
    return "refused";
  }

  /** Must be called about every second by each watcher. Time without a connection does not count as listening. */
  listen(): void {
    this.#contacts.listen(this.#deps.canHear(), this.#deps.now());
  }

  /** Timers of the one watcher that holds the lease; must be called about every half second. */
  async onTick(): Promise<void> {
    this.listen();
    if (!this.ready) return;
    const now = this.#deps.now();
    this.#wake(this.#view.takeNotTakenUp(now - notTakenUpMs), "not_taken_up");
    const silent = this.#contacts.silent(this.#view.upHosts(), silentAfterMs, now);
    if (silent.length > 0) await this.#deps.store.silent(silent, silentAfterMs);
    await this.#loseSilent();
  }

  /** For this long after the database last saw a host, no run on it is given up. */
  get #lossGapMs(): number {
    return minHostLeaseMs + this.#deps.lossMarginMs;
  }

  async #loseSilent(): Promise<void> {
    const { store, logger, instruments, lossMarginMs } = this.#deps;
    const now = this.#deps.now();
    let asked = 0;
    for (const hostId of this.#view.busyHosts()) {
      const listenedMs = this.#contacts.listenedMs(hostId, now);
      if (listenedMs <= this.#lossGapMs || now - (this.#askedToLose.get(hostId) ?? -Infinity) < loseAgainMs) continue;
      this.#askedToLose.set(hostId, now);
      const { retried, lost } = await store.loseRuns(hostId, listenedMs, lossMarginMs);
      if (retried + lost > 0) {
        logger.warn("gave up runs whose lease ended: their host is not heard", { hostId, retried, lost });
        instruments.lost(retried + lost, "lease");
      }
      if ((asked += 1) >= loseAtOnce) return;
    }
  }

  async #lookUp(hostId: string, ask: readonly Run[], missing: readonly Run[], withoutSpec: readonly Run[]) {
    return ask.length + missing.length + withoutSpec.length > 0
      ? this.#deps.store.lookUp(hostId, ask, missing, withoutSpec)
      : { known: [], assign: undefined };
  }

  #heard(hostId: string, runs: readonly Run[]): void {
    this.#contacts.heard(hostId, this.#deps.now());
    for (const { epoch, taskId, attempt } of runs) if (epoch === this.#epoch) this.#view.listed(taskId, attempt);
  }

  #wake(hosts: ReadonlySet<string>, why: "request" | "not_taken_up"): void {
    for (const hostId of hosts) this.#deps.waker.wake(hostId);
    if (hosts.size > 0) this.#deps.instruments.woke(why, hosts.size);
  }

  async #giveUp(hostId: string, journalId: string, runs: readonly Run[]): Promise<void> {
    this.#deps.logger.warn("runs were placed for a journal that is gone, and its host does not have them", {
      hostId,
      journalId,
      runs: runs.map(({ taskId, attempt }) => `${taskId}#${attempt}`),
    });
    this.#deps.instruments.lost(runs.length, "journal");
    try {
      await this.#deps.store.reportLost(hostId, journalId, runs);
    } catch (error) {
      this.#deps.logger.warn("could not note lost runs; the next sync does", {
        hostId,
        error: AppError.from(error).message,
      });
    }
  }
}
