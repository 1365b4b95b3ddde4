import { ReportAnswer } from "@berth/contracts/agent";
import { hasStarted, isLive } from "../domain/held-run.ts";
import type { Answer, HeldRun } from "../domain/held-run.ts";
import type { ControlPlane } from "../ports/control-plane.ts";
import type { Logger } from "../ports/logger.ts";
import { statusOf } from "./run-status.ts";

export interface ReporterDeps {
  readonly control: ControlPlane;
  readonly logger: Logger;
  readonly random: () => number;
  /** A run as it is now; undefined once it is settled. */
  readonly get: (key: string) => HeldRun | undefined;
  readonly enforced: () => readonly string[];
  /** Whether this agent speaks for its host. Until it does, reports are kept. */
  readonly maySend: () => boolean;
  /** Whether runs wait on this host. Then it has work without an answer, so reports may be batched. */
  readonly busy: () => boolean;
  /** The trace context of the run's submit; empty if tracing is off. */
  readonly traceParentOf: (held: HeldRun) => string;
  /** Called with the server's answers to reports of ends. */
  readonly onAnswers: (answers: readonly { readonly key: string; readonly answer: Answer }[]) => void;
}

/** Delay of `running` reports. A task that ends sooner costs the database two writes (placed, over) instead of three. */
const runningDelayMs = 300;
/** Delay of `preparing` reports: users need to know of a slow image pull only. */
const preparingDelayMs = 1_000;
const maxStatuses = 1_000;
/** How long ends are batched while runs wait on this host. The host is busy meanwhile, and each message costs work in every service on its way. */
const gatherMs = 25;
const backoff = { baseMs: 100, maxMs: 5_000 };

/** Sends reports until the server answers them. One request is in flight at a time; it has everything that was waiting. */
export class Reporter {
  readonly #deps: ReporterDeps;
  /** Keys to report, in the order in which they were added. */
  readonly #due = new Set<string>();
  readonly #delayed = new Map<string, number>();
  #delayTimer: NodeJS.Timeout | undefined;
  #backoffTimer: NodeJS.Timeout | undefined;
  /** How often the server answered `later`, per run. */
  readonly #later = new Map<string, number>();
  #laterTimer: NodeJS.Timeout | undefined;
  #sending = false;
  #failures = 0;
  readonly #signal: AbortSignal;

  constructor(deps: ReporterDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
    signal.addEventListener("abort", () => {
      clearTimeout(this.#delayTimer);
      clearTimeout(this.#backoffTimer);
      clearTimeout(this.#laterTimer);
    });
  }

  /** Reports a run's state. A running or preparing one is reported after a delay, unless it is over by then. */
  add(held: HeldRun): void {
    if (this.#signal.aborted) return;
    if (held.phase.kind === "running" || held.phase.kind === "starting") {
      if (this.#delayed.has(held.key)) return;
      this.#delayed.set(held.key, performance.now() + (hasStarted(held) ? runningDelayMs : preparingDelayMs));
      this.#delayTimer ??= setTimeout(() => this.#releaseDelayed(), runningDelayMs);
      return;
    }
    if (held.phase.kind !== "suspended") this.#delayed.delete(held.key);
    this.#due.add(held.key);
    this.#send();
  }

  /** Reports a running run without the delay. */
  addNow(key: string): void {
    this.#due.add(key);
    this.#send();
  }

  #releaseDelayed(): void {
    this.#delayTimer = undefined;
    const now = performance.now();
    for (const [key, at] of this.#delayed) {
      if (at > now) continue;
      this.#delayed.delete(key);
      const held = this.#deps.get(key);
      if (held && isLive(held)) this.#due.add(key);
    }
    if (this.#delayed.size > 0) this.#delayTimer = setTimeout(() => this.#releaseDelayed(), runningDelayMs / 2);
    this.#send();
  }

  /** Sends the waiting reports, if this agent may send. */
  send(): void {
    this.#send();
  }

  #send(): void {
    if (this.#sending || this.#backoffTimer || this.#due.size === 0 || this.#signal.aborted || !this.#deps.maySend())
      return;
    this.#sending = true;
    // Send after this turn of the event loop, so that events of one batch go out in one message.
    if (this.#deps.busy()) setTimeout(() => void this.#sendBatch(), gatherMs);
    else setImmediate(() => void this.#sendBatch());
  }

  async #sendBatch(): Promise<void> {
    const batch: HeldRun[] = [];
    for (const key of this.#due) {
      this.#due.delete(key);
      const held = this.#deps.get(key);
      if (held) batch.push(held);
      else this.#later.delete(key);
      if (batch.length >= maxStatuses) break;
    }
    let again: HeldRun[] = [];
    try {
      if (batch.length > 0) {
        const enforced = this.#deps.enforced();
        const answers = await this.#deps.control.report(
          batch.map((held) => statusOf(held, enforced, this.#deps.traceParentOf(held))),
          this.#signal,
        );
        again = this.#take(batch, answers);
        this.#failures = again.length > 0 ? this.#failures + 1 : 0;
      }
    } catch (error) {
      if (this.#signal.aborted) return;
      again = batch;
      this.#failures += 1;
      this.#deps.logger.debug("a report was not answered; it is sent again", { error, runs: batch.length });
    }
    this.#sending = false;
    // If the server answered some, only those answered `later` wait; other reports are sent without delay.
    if (again.length < batch.length) this.#sendAgain(again);
    else this.#waitThenSend(again);
    this.#send();
  }

  /** Retries with a growing back-off, all waiting ones in one message. */
  #sendAgain(again: readonly HeldRun[]): void {
    let times = 0;
    for (const { key } of again) {
      times = Math.max(times, (this.#later.get(key) ?? 0) + 1);
      this.#later.set(key, times);
    }
    if (again.length === 0 || this.#laterTimer) return;
    this.#laterTimer = setTimeout(() => {
      this.#laterTimer = undefined;
      for (const key of this.#later.keys()) this.#due.add(key);
      this.#send();
    }, this.#backoffMs(times));
  }

  #waitThenSend(again: readonly HeldRun[]): void {
    if (again.length === 0) return;
    for (const { key } of again) this.#due.add(key);
    this.#backoffTimer = setTimeout(() => {
      this.#backoffTimer = undefined;
      this.#send();
    }, this.#backoffMs(this.#failures));
  }

  #backoffMs(failures: number): number {
    const ms = Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(failures - 1, 16));
    return ms * (0.5 + this.#deps.random() / 2);
  }

  /** Passes the answers to ends on; returns the runs to report again. */
  #take(sent: readonly HeldRun[], answers: readonly ReportAnswer[]): HeldRun[] {
    const again: HeldRun[] = [];
    const ended: { key: string; answer: Answer }[] = [];
    sent.forEach((held, at) => {
      const answer = words.get(answers[at] ?? ReportAnswer.LATER);
      if (!answer) again.push(held);
      else this.#later.delete(held.key);
      if (answer && !isLive(held)) ended.push({ key: held.key, answer });
    });
    if (ended.length > 0) this.#deps.onAnswers(ended);
    return again;
  }
}

const words: ReadonlyMap<ReportAnswer, Answer> = new Map<ReportAnswer, Answer>([
  [ReportAnswer.COMMITTED, "committed"],
  [ReportAnswer.SUPERSEDED, "superseded"],
  [ReportAnswer.UNKNOWN, "unknown"],
]);
