import { blameOf, isTerminal, splitTaskId } from "@berth/core";
import { ArrayClaims } from "./array-claims.ts";
import { Dependencies } from "./dependencies.ts";
import type { FeedRow, TaskFacts } from "./feed.ts";
import { Hosts } from "./hosts.ts";
import type { PlacedAs } from "./hosts.ts";
import type { Plan } from "./plan.ts";
import { noIndex, TaskRecord } from "./records.ts";
import { Shapes } from "./shapes.ts";

/** After storage refused a decision: how long to wait for the feed's row before the task is planned again. */
const doubtMs = 250;
/** After storage failed on a decision about this one task: how long the task is left out. */
const cannotStoreMs = 60_000;
/** Refusal of a decision on which storage failed when it was sent alone. */
export const cannotStore = "CANNOT_STORE";
/** Refusals because of the host: the task may be planned again without waiting for its row. */
const hostsFault: ReadonlySet<string> = new Set(["HOST_CHANGED"]);

/** What storage says of a parent. */
export interface ParentOutcome {
  readonly taskId: string;
  readonly live: boolean;
  /** Undefined if storage does not know the task: it counts as lost. */
  readonly outcome: TaskFacts["outcome"];
}

/**
 * Pending and running tasks in memory, built from the change feed. It also holds what the feed does not say yet: decisions that are being committed (held,
 * ending), and refusals by storage. Nothing is durable; a new leader builds it again.
 */
export class Queue {
  readonly hosts: Hosts;
  readonly shapes = new Shapes();
  readonly dependencies = new Dependencies();
  readonly #tasks = new Map<string, TaskRecord>();
  readonly #arrays = new Set<TaskRecord>();
  /** Pending tasks that can never run, to be ended. */
  readonly impossible = new Set<TaskRecord>();
  readonly #doubtful = new Map<TaskRecord, number>();
  /** Users whose tasks wait until they are enabled again. */
  disabledUsers: ReadonlySet<string> = new Set();
  #pendingSingles = 0;

  constructor(options: { readonly requiredFeatures?: readonly string[] } = {}) {
    this.hosts = new Hosts(options.requiredFeatures);
  }

  get(id: string): TaskRecord | undefined {
    return this.#tasks.get(id);
  }

  records(): IterableIterator<TaskRecord> {
    return this.#tasks.values();
  }

  /** Number of pending tasks; an array counts its unclaimed elements. */
  get pending(): number {
    let count = this.#pendingSingles;
    for (const array of this.#arrays) count += array.pending;
    return count;
  }

  /** Applies a row. A row older than the last one of its subject changes nothing. */
  apply(row: FeedRow, nowMs: number): void {
    if (row.kind === "host") this.hosts.apply(row.host, nowMs);
    else this.#applyTask(row.task, nowMs);
  }

  #applyTask(facts: TaskFacts, nowMs: number): void {
    const known = this.#tasks.get(facts.id);
    if (known && facts.revision <= known.revision) return;
    if (isTerminal(facts.state)) {
      this.#ended(facts, known);
      return;
    }
    const record = known ?? this.#make(facts);
    record.revision = facts.revision;
    if (facts.array) this.#applyArray(record, facts);
    else if (facts.state === "pending") this.#applyPending(record, facts, nowMs);
    else this.#applyLive(record, facts);
  }

  #make(facts: TaskFacts): TaskRecord {
    const { number, index } = splitTaskId(facts.id);
    const parent = index === undefined ? undefined : this.#tasks.get(`${number}`);
    const record = new TaskRecord(facts.id, number, index ?? noIndex, this.shapes.of(facts), parent, facts.createdAtMs);
    this.#tasks.set(facts.id, record);
    if (facts.array) {
      record.array = new ArrayClaims(facts.array);
      this.#arrays.add(record);
    } else if (parent) this.#stepOver(parent, record.index);
    return record;
  }

  #ended(facts: TaskFacts, record: TaskRecord | undefined): void {
    if (record && facts.ranMs !== undefined && !record.array) {
      record.shape.ran(facts.ranMs);
      if (record.host) this.hosts.startedOn(record.host, record.shape.user);
    }
    if (record) this.#drop(record);
    const { number, index } = splitTaskId(facts.id);
    const array = index === undefined ? undefined : this.#tasks.get(`${number}`);
    if (array && index !== undefined) this.#stepOver(array, index);
    else if (index === undefined && facts.outcome) this.#outcome(facts.id, facts.outcome);
  }

  /** The element has a record already, so the cursor steps over it. */
  #stepOver(array: TaskRecord, index: number): void {
    array.array?.skip(index);
    if (array.phase === "queued") this.#settleIn(array);
  }

  #outcome(taskId: string, outcome: NonNullable<TaskFacts["outcome"]>): void {
    for (const child of this.dependencies.ended(taskId, outcome)) if (child.phase === "blocked") this.#settleIn(child);
  }

  /** Applies storage's answers about unknown parents. A live parent comes by the feed. */
  applyOutcomes(outcomes: readonly ParentOutcome[]): void {
    for (const { taskId, outcome, live } of outcomes) if (!live) this.#outcome(taskId, outcome ?? "lost");
  }

  #applyArray(record: TaskRecord, facts: TaskFacts): void {
    record.array!.apply(facts.array!);
    this.dependencies.add(record, facts.dependencies);
    if (record.phase !== "ending") this.#settleIn(record);
  }

  #applyPending(record: TaskRecord, facts: TaskFacts, nowMs: number): void {
    if (record.phase === "ending" || (record.phase === "held" && facts.attempt < record.attempt)) return; // older than the decision that is being committed
    if (record.phase === "placed" && facts.attempt === record.attempt)
      this.hosts.refusedBy(record.host!, facts.user, blameOf(facts.reason), record.placedAs!, nowMs);
    record.attempt = facts.attempt;
    this.#leave(record);
    if (facts.avoidHosts.length !== record.shape.avoidHosts.length) record.shape = this.shapes.of(facts);
    this.dependencies.add(record, facts.dependencies);
    this.#settleIn(record);
  }

  #applyLive(record: TaskRecord, facts: TaskFacts): void {
    const phase = facts.state === "placed" ? "placed" : "running";
    if (record.onHost && record.host!.id === facts.hostId && record.attempt === facts.attempt) record.phase = phase;
    else {
      this.#leave(record);
      record.attempt = facts.attempt;
      this.#occupy(record, phase, facts.hostId);
    }
    if (phase === "running") this.hosts.startedOn(record.host!, facts.user);
  }

  #occupy(record: TaskRecord, phase: "held" | "placed" | "running", hostId: string, as?: PlacedAs): void {
    record.phase = phase;
    record.host = this.hosts.of(hostId);
    record.placedAs = as ?? this.hosts.placedAs(record.host, record.shape.user, false);
    this.hosts.take(record.host, record.shape.needs);
    const { parent } = record;
    if (!parent?.array) return;
    parent.array.live++;
    if (parent.phase === "queued") this.#settleIn(parent);
  }

  /** Releases everything that the record's phase holds. */
  #leave(record: TaskRecord): void {
    if (!record.array) this.#pendingSingles -= record.pending;
    switch (record.phase) {
      case "queued":
        record.queuedIn?.remove(record);
        break;
      case "doubtful":
        this.#doubtful.delete(record);
        break;
      case "blocked":
        this.impossible.delete(record);
        break;
      case "held":
      case "placed":
      case "running": {
        this.hosts.give(record.host!, record.shape.needs);
        record.host = undefined;
        const parent = record.parent;
        if (parent?.array) {
          parent.array.live--;
          if (parent.phase === "resting") this.#settleIn(parent);
        }
        break;
      }
    }
    record.phase = "new";
  }

  #settleIn(record: TaskRecord): void {
    const phase =
      record.impossible || record.unmet
        ? "blocked"
        : record.array?.exhausted
          ? "claimed"
          : record.array?.atLimit()
            ? "resting"
            : "queued";
    if (record.phase === phase && phase !== "blocked") return;
    this.#leave(record);
    record.phase = phase;
    if (record.impossible) this.impossible.add(record);
    if (phase === "queued") {
      if (record.shape.swept) record.shape = this.shapes.of(record.shape);
      record.shape.add(record);
    }
    if (!record.array) this.#pendingSingles += record.pending;
  }

  #doubt(record: TaskRecord, why: string, nowMs: number): void {
    this.#leave(record);
    record.phase = "doubtful";
    this.#doubtful.set(record, nowMs + (why === cannotStore ? cannotStoreMs : doubtMs));
    if (!record.array) this.#pendingSingles++;
  }

  #drop(record: TaskRecord): void {
    this.#leave(record);
    this.dependencies.forget(record);
    this.#tasks.delete(record.id);
    if (record.array) this.#arrays.delete(record);
  }

  /** Marks the plan as being committed. The next plan is made as if it were accepted. */
  hold(plan: Plan): void {
    for (const { record, index, attempt, host, as } of plan.placements) {
      if (index === undefined) {
        this.#leave(record);
        record.attempt = attempt;
        this.#occupy(record, "held", host.id, as);
        continue;
      }
      const id = `${record.number}.${index}`;
      const element = new TaskRecord(id, record.number, index, record.shape, record, record.createdAtMs);
      element.attempt = attempt;
      this.#tasks.set(id, element);
      record.array!.claimedUpTo(record.array!.after(index));
      this.#occupy(element, "held", host.id, as);
    }
    for (const { record } of plan.ends) {
      this.#leave(record);
      record.phase = "ending";
    }
  }

  /** Applies storage's answer: refused decisions are undone, unless the feed brought a newer row in between. */
  settle(
    plan: Plan,
    answer: { readonly placementRefusals: readonly string[]; readonly endRefusals: readonly string[] },
    nowMs: number,
  ): void {
    plan.placements.forEach((placement, at) => {
      const why = answer.placementRefusals[at];
      if (!why) return;
      const record = this.#tasks.get(placement.taskId);
      if (!record || record.phase !== "held" || record.attempt !== placement.attempt) return;
      if (hostsFault.has(why))
        this.hosts.refusedBy(placement.host, record.shape.user, "moment", { ...placement.as, ahead: false }, nowMs);
      if (placement.index !== undefined) this.#takeBackClaim(record, placement.record, placement.index, why, nowMs);
      else {
        record.attempt--;
        this.#again(record, why, nowMs);
      }
    });
    plan.ends.forEach(({ record }, at) => {
      const why = answer.endRefusals[at];
      if (why && record.phase === "ending" && this.#tasks.get(record.id) === record) this.#doubt(record, why, nowMs);
    });
  }

  #takeBackClaim(element: TaskRecord, array: TaskRecord, index: number, why: string, nowMs: number): void {
    this.#drop(element);
    if (this.#tasks.get(array.id) !== array) return;
    if (why === hasRecord) array.array!.skip(index);
    else array.array!.takeBack(index);
    this.#again(array, why, nowMs);
  }

  #again(record: TaskRecord, why: string, nowMs: number): void {
    if (hostsFault.has(why)) {
      if (record.onHost) this.#leave(record);
      this.#settleIn(record);
    } else this.#doubt(record, why, nowMs);
  }

  /** Applies what changes only with time. Answers whether more of that will follow. */
  tick(nowMs: number): boolean {
    for (const [record, untilMs] of this.#doubtful) if (untilMs <= nowMs) this.#settleIn(record);
    return this.hosts.tick(nowMs) || this.#doubtful.size > 0;
  }

  /** At most `max` parents that ended before this queue was built. Look them up and call `applyOutcomes`. */
  takeUnknownParents(max: number): string[] {
    return this.dependencies.takeUnknown((taskId) => this.#tasks.has(taskId), max);
  }
}

/** Refusal of a claim because the element has a record already. (STALE_ATTEMPT means that the cursor is elsewhere.) */
const hasRecord = "NOT_PENDING";
