import { AppError } from "@berth/core";
import type { Resources } from "@berth/core";
import { planCycle } from "../domain/cycle.ts";
import type { CyclePolicy } from "../domain/cycle.ts";
import { explain } from "../domain/explain.ts";
import type { Explanation } from "../domain/explain.ts";
import type { FeedRow } from "../domain/feed.ts";
import { largestHosts } from "../domain/largest-hosts.ts";
import type { Plan } from "../domain/plan.ts";
import { Queue } from "../domain/queue.ts";
import type { Dispatcher } from "../ports/dispatcher.ts";
import type { Instruments, Logger } from "../ports/instruments.ts";
import type { CommitAnswer, PlanStore, RowReader } from "../ports/plan-store.ts";

export interface LeaderDeps {
  readonly store: PlanStore;
  readonly dispatcher: Dispatcher;
  readonly policy: CyclePolicy;
  readonly requiredFeatures: readonly string[];
  readonly instruments: Instruments;
  readonly logger: Logger;
  /** A record that cannot be processed is left out. */
  setAside(id: string, error: unknown): void;
  /** The error of the last cycle or term; undefined if it succeeded. */
  onPlanned(error: unknown): void;
  now(): number;
  readonly random: () => number;
  /** Retries `unavailable` with back-off until aborted. */
  retry<T>(fn: () => Promise<T>, signal: AbortSignal): Promise<T>;
}

const tickMs = 100;
const parentsAtOnce = 1000;

/**
 * One term of leading: it reads a snapshot, then runs one cycle for all the events that have arrived, without delay when idle. At most one plan is being
 * committed; the next is planned on top of it. Each term has a new Leader, so no state of an older view survives.
 */
export class Leader implements RowReader {
  readonly #deps: LeaderDeps;
  readonly #term: number;
  readonly #signal: AbortSignal;
  readonly #failed: (error: unknown) => void;
  #queue: Queue;
  #disabledUsers: ReadonlySet<string> = new Set();
  #caughtUp = false;
  #wanted = false;
  #scheduled = false;
  #committing: Promise<void> | undefined;
  #ended = false;
  #askingParents = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: LeaderDeps, term: number, signal: AbortSignal, failed: (error: unknown) => void) {
    this.#deps = deps;
    this.#term = term;
    this.#signal = signal;
    this.#failed = failed;
    this.#queue = new Queue({ requiredFeatures: deps.requiredFeatures });
    signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  get queue(): Queue {
    return this.#queue;
  }

  /** Stops planning. Resolves when storage has answered the open plan, so that a refusal of it is seen. */
  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    await this.#committing;
  }

  /** Whether the snapshot has been read. */
  get ready(): boolean {
    return this.#caughtUp;
  }

  /** Tasks of these users wait from the next cycle on. */
  setDisabledUsers(users: ReadonlySet<string>): void {
    this.#disabledUsers = users;
    this.#queue.disabledUsers = users;
    this.#wake();
  }

  onStart(): void {
    this.#queue = new Queue({ requiredFeatures: this.#deps.requiredFeatures });
    this.#queue.disabledUsers = this.#disabledUsers;
    this.#caughtUp = false;
  }

  onRows(rows: readonly FeedRow[]): void {
    const now = this.#deps.now();
    for (const row of rows) {
      try {
        this.#queue.apply(row, now);
      } catch (error) {
        this.#deps.setAside(row.kind === "task" ? row.task.id : row.host.id, error);
      }
    }
    this.#wake();
  }

  onCaughtUp(): void {
    if (!this.#caughtUp)
      this.#deps.logger.info("leading", {
        term: this.#term,
        pending: this.#queue.pending,
        hosts: this.#queue.hosts.count,
      });
    this.#caughtUp = true;
    this.#wake();
  }

  /** See `largestHosts` of the domain. Throws `unavailable` NOT_READY before the view is whole. */
  largestHosts(): Resources[] {
    this.#checkReady();
    return largestHosts(this.#queue.hosts);
  }

  /** Why that task waits; undefined where it is not pending. Throws `unavailable` NOT_READY before the view is whole. */
  explain(taskId: string): Explanation | undefined {
    this.#checkReady();
    return explain(this.#queue, taskId, this.#deps.policy.filters);
  }

  #checkReady(): void {
    if (!this.#caughtUp)
      throw new AppError("unavailable", "NOT_READY", "the scheduler is reading the queue; ask again in a moment");
  }

  /** Many events, one cycle: it runs after the rows at hand have been read. */
  #wake(): void {
    this.#wanted = true;
    if (this.#ended || this.#scheduled || this.#committing || !this.#caughtUp) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#ended || this.#signal.aborted || this.#committing || !this.#caughtUp) return;
      this.#wanted = false;
      try {
        this.#cycle();
      } catch (error) {
        this.#failed(error);
      }
    });
  }

  #cycle(): void {
    const { policy, random, instruments } = this.#deps;
    const queue = this.#queue;
    const now = this.#deps.now();
    const startedAt = performance.now();
    this.#wakeLater(queue.tick(now) || now - queue.hosts.newestAtMs < policy.limits.settleMs);
    this.#askForParents();
    const plan = planCycle(queue, policy, now, random);
    if (plan.placements.length === 0 && plan.ends.length === 0) return this.#deps.onPlanned(undefined);
    queue.hold(plan);
    instruments.cycle((performance.now() - startedAt) / 1000, plan.placements.length, plan.ends.length);
    this.#committing = this.#commit(queue, plan).then(() => {
      this.#deps.onPlanned(undefined);
      this.#committing = undefined;
      if (this.#wanted || plan.more) this.#wake();
    }, this.#failed);
  }

  async #commit(queue: Queue, plan: Plan): Promise<void> {
    const { store, dispatcher, instruments, retry } = this.#deps;
    const commit = () => store.commit(this.#term, plan, this.#signal);
    const answer: CommitAnswer = await retry(commit, this.#signal).catch((thrown: unknown) => {
      if (AppError.from(thrown).reason === "STALE_TERM") this.#tellStale(plan);
      throw thrown;
    });
    dispatcher.send(answer.assignments);
    for (const why of [...answer.placementRefusals, ...answer.endRefusals]) if (why) instruments.refused(why);
    queue.settle(plan, answer, this.#deps.now());
    this.#wanted ||= answer.placementRefusals.some((why) => why !== "");
  }

  /** Reports a plan refused as STALE_TERM, whatever else ends this term. */
  #tellStale(plan: Plan): void {
    this.#deps.instruments.staleTerm();
    const { placements, ends } = plan;
    const refused = { term: this.#term, placements: placements.length, ends: ends.length };
    this.#deps.logger.warn("storage refused a plan of an older term: another leads", refused);
  }

  #wakeLater(needed: boolean): void {
    if (!needed || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#wake();
    }, tickMs);
  }

  /** Asks storage once for parents that ended before the snapshot. */
  #askForParents(): void {
    if (this.#askingParents) return;
    const queue = this.#queue;
    const asked = queue.takeUnknownParents(parentsAtOnce);
    if (asked.length === 0) return;
    this.#askingParents = true;
    this.#deps
      .retry(() => this.#deps.store.outcomes(asked, this.#signal), this.#signal)
      .then((outcomes) => {
        this.#askingParents = false;
        queue.applyOutcomes(outcomes);
        this.#wake();
      }, this.#failed);
  }
}
