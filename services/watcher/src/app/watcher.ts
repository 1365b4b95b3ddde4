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
  /** Between the end of a run's lease, when its host freezes it, and giving it up. */
  readonly lossMarginMs: number;
  /** Whether anything that hosts say can reach this watcher now. */
  canHear(): boolean;
}

/** What an agent's sync says, as far as it is ours to read. */
export interface HostSync {
  readonly host: Host;
  readonly hostId: string;
  readonly journalId: string;
  readonly agentId: string;
  readonly runs: readonly Run[];
  /** Those of them whose spec the agent lacks. */
  readonly withoutSpec: readonly Run[];
  /** Those of them that have ended, and wait to be settled. */
  readonly over: readonly Run[];
}

export interface SyncAnswer {
  readonly epoch: string;
  readonly term: number;
  readonly verdicts: readonly JudgedRun[];
  readonly missing: AssignRequest | undefined;
}

/** Why an agent may not speak for its host: another one of the same host name was heard lately. */
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

/** The feed is heard of at least every five seconds; without it for so long, the view says nothing. */
const behindMs = 30_000;
/** A placement that no agent spoke of for this long is offered again, by waking its host. */
const notTakenUpMs = 2_000;
const silentAfterMs = 30_000;
/** More than these are offered in further syncs: an answer has to pass the bus. */
const missingAtOnce = 400;
/** Storage is asked again about a host that is not heard, and about how many at once. */
const loseAgainMs = 5_000;
const loseAtOnce = 20;
/** A refused agent asks about this often; the first is woken as often. */
const refuseLogMs = 2_000;

/** Commits what agents report, judges what they have, wakes them. All in memory comes from the change feed and may be lost at any time. */
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

  /** Whether its view is whole and of now: only then it judges. */
  get ready(): boolean {
    return this.#seenWholeView && this.#deps.now() - this.#freshMs < behindMs;
  }

  /** How long ago the feed was last heard of, in milliseconds. */
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
    // Of before the view was whole, requests may have been carried out long ago; the sync of each host tells.
    const hosts = this.#view.takeToWake();
    if (this.#seenWholeView) this.#wake(hosts, "request");
  }

  onCaughtUp(): void {
    this.#freshMs = this.#deps.now();
    if (this.#seenWholeView) return;
    this.#seenWholeView = true;
    this.#deps.logger.info("watching", { live: this.#view.liveCount, hosts: this.#view.hostCount });
    // Agents that synced while there was no view, or none at all, need not wait for their next turn.
    this.#wake(new Set(this.#view.upHosts()), "request");
  }

  /** Commits a host's reports; answers after the commit. Fails with `denied` HOST_NAME_TAKEN where another agent speaks for that host name. */
  async report({ hostId, agentId, runs, report }: HostReport): Promise<ReportReply> {
    const speaker = this.#view.agentOf(hostId) ?? "";
    if (speaker !== "" && speaker !== agentId) throw new AppError("denied", hostNameTaken.code, hostNameTaken.message);
    this.#heard(hostId, runs);
    return this.#deps.store.report(report);
  }

  /** The whole list for a host; `refused`: another agent speaks for that host name; undefined: not now, ask again soon. */
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
    // Before it is answered: what this answer lets go on is not given up after it.
    const { term, refused } = await store.seeHost({ host, unknownRuns });
    if (refused) return this.#refuse(hostId);
    this.#contacts.noteSeen(hostId, this.#lossGapMs, now);
    let { assign } = first;
    if (!isSteady) {
      // It may have been given up while nobody heard of it, and the view may not know yet: storage is asked about everything that is to go on.
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

  /** Wakes the host, because an agent that is alive syncs at once then, and so keeps its name. */
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

  /** To be called about every second, by each watcher: a time in which it could not hear does not count as listening. */
  listen(): void {
    this.#contacts.listen(this.#deps.canHear(), this.#deps.now());
  }

  /** Timers that one watcher runs for all; to be called about every half second while it holds the lease. */
  async onTick(): Promise<void> {
    this.listen();
    if (!this.ready) return;
    const now = this.#deps.now();
    this.#wake(this.#view.takeNotTakenUp(now - notTakenUpMs), "not_taken_up");
    const silent = this.#contacts.silent(this.#view.upHosts(), silentAfterMs, now);
    if (silent.length > 0) await this.#deps.store.silent(silent, silentAfterMs);
    await this.#loseSilent();
  }

  /** Shorter than this after the database last heard of a host nothing there is given up. */
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
