import { isLive, isTerminal, splitTaskId } from "@berth/core";
import type { StateKind, TaskRequest } from "@berth/core";

/** What watching knows of a task from one row of the change feed. */
export interface TaskFacts {
  readonly id: string;
  readonly revision: number;
  readonly state: StateKind;
  readonly attempt: number;
  readonly hostId: string;
  /** Journal that it was placed for. */
  readonly journalId: string;
  readonly request: TaskRequest | undefined;
  readonly requestBy: string;
  readonly isArray: boolean;
}

export interface HostFacts {
  readonly id: string;
  readonly revision: number;
  readonly up: boolean;
  /** The agent that speaks for its name; empty: it tells no id. */
  readonly agentId: string;
}

export type FeedRow =
  | { readonly kind: "task"; readonly task: TaskFacts }
  | { readonly kind: "host"; readonly host: HostFacts };

/** A placed, running or suspended task. */
export interface LiveTask extends TaskFacts {
  /** When it was first seen as placed in this attempt. */
  readonly sinceMs: number;
}

export interface Requested {
  readonly request: TaskRequest;
  readonly by: string;
}

const strength: Readonly<Record<TaskRequest, number>> = { kill: 3, suspend: 2, resume: 1 };

/**
 * What runs where, and what was asked of it, made from the change feed. Knows only what is live: whoever asks about anything else asks storage, because a view
 * may lag and absence proves nothing.
 */
export class RunView {
  readonly #live = new Map<string, LiveTask>();
  readonly #byHost = new Map<string, Set<string>>();
  /** Arrays that are not over, and their live elements. */
  readonly #arrays = new Map<string, { facts: TaskFacts | undefined; readonly live: Set<string> }>();
  readonly #hosts = new Map<string, HostFacts>();
  readonly #toWake = new Set<string>();
  /** Placements in the order in which they were seen, for those that nobody takes up. */
  #placed: { readonly id: string; readonly attempt: number; readonly sinceMs: number }[] = [];
  readonly #listed = new Set<string>();

  apply(row: FeedRow, nowMs: number): void {
    if (row.kind === "host") {
      const known = this.#hosts.get(row.host.id);
      if (!known || known.revision < row.host.revision) this.#hosts.set(row.host.id, row.host);
    } else if (row.task.isArray) this.#applyArray(row.task);
    else this.#applyTask(row.task, nowMs);
  }

  #applyTask(task: TaskFacts, nowMs: number): void {
    const before = this.#live.get(task.id);
    if (before && before.revision >= task.revision) return;
    if (before && (before.hostId !== task.hostId || !isLive(task.state))) this.#remove(before);
    if (!isLive(task.state)) return;
    const sameAttempt = before?.attempt === task.attempt;
    if (before && !sameAttempt) this.#listed.delete(task.id);
    this.#live.set(task.id, { ...task, sinceMs: sameAttempt ? before.sinceMs : nowMs });
    this.#hostTasks(task.hostId).add(task.id);
    const array = arrayOf(task.id);
    if (array !== undefined) this.#array(array).live.add(task.id);
    if (task.state === "placed" && !sameAttempt)
      this.#placed.push({ id: task.id, attempt: task.attempt, sinceMs: nowMs });
    if (task.request !== undefined && task.request !== before?.request) this.#toWake.add(task.hostId);
  }

  #applyArray(task: TaskFacts): void {
    const array = this.#array(task.id);
    if (array.facts && array.facts.revision >= task.revision) return;
    if (task.request !== undefined && task.request !== array.facts?.request) {
      for (const id of array.live) this.#toWake.add(this.#live.get(id)!.hostId);
    }
    array.facts = task;
    if (isTerminal(task.state) && array.live.size === 0) this.#arrays.delete(task.id);
  }

  #remove(task: LiveTask): void {
    this.#live.delete(task.id);
    this.#listed.delete(task.id);
    const there = this.#byHost.get(task.hostId);
    there?.delete(task.id);
    if (there?.size === 0) this.#byHost.delete(task.hostId);
    const arrayId = arrayOf(task.id);
    const array = arrayId === undefined ? undefined : this.#arrays.get(arrayId);
    if (!array) return;
    array.live.delete(task.id);
    if (array.live.size === 0 && (!array.facts || isTerminal(array.facts.state))) this.#arrays.delete(arrayId!);
  }

  #hostTasks(hostId: string): Set<string> {
    let there = this.#byHost.get(hostId);
    if (!there) this.#byHost.set(hostId, (there = new Set()));
    return there;
  }

  #array(id: string) {
    let array = this.#arrays.get(id);
    if (!array) this.#arrays.set(id, (array = { facts: undefined, live: new Set<string>() }));
    return array;
  }

  get(taskId: string): LiveTask | undefined {
    return this.#live.get(taskId);
  }

  get liveCount(): number {
    return this.#live.size;
  }

  /** Live tasks on a host. */
  *on(hostId: string): Generator<LiveTask> {
    for (const id of this.#byHost.get(hostId) ?? []) yield this.#live.get(id)!;
  }

  /** What was asked of a live task: the stronger of its own and its array's. */
  asked(task: LiveTask): Requested | undefined {
    const arrayId = arrayOf(task.id);
    const array = arrayId === undefined ? undefined : this.#arrays.get(arrayId)?.facts;
    const own = task.request === undefined ? undefined : { request: task.request, by: task.requestBy };
    const shared = array?.request === undefined ? undefined : { request: array.request, by: array.requestBy };
    if (!own || !shared) return own ?? shared;
    return strength[shared.request] > strength[own.request] ? shared : own;
  }

  /** Its agent spoke of the run: it was taken up. */
  listed(taskId: string, attempt: number): void {
    if (this.#live.get(taskId)?.attempt === attempt) this.#listed.add(taskId);
  }

  /** Hosts of which something was asked since the last call. */
  takeToWake(): ReadonlySet<string> {
    const hosts = new Set(this.#toWake);
    this.#toWake.clear();
    return hosts;
  }

  /** Hosts with a placement of before that time that no agent has spoken of; each placement is told once. */
  takeNotTakenUp(beforeMs: number): ReadonlySet<string> {
    const hosts = new Set<string>();
    let due = 0;
    for (; due < this.#placed.length && this.#placed[due]!.sinceMs <= beforeMs; due++) {
      const { id, attempt } = this.#placed[due]!;
      const task = this.#live.get(id);
      if (task?.attempt === attempt && task.state === "placed" && !this.#listed.has(id)) hosts.add(task.hostId);
    }
    if (due > 0) this.#placed = this.#placed.slice(due);
    return hosts;
  }

  /** Hosts that count as up. */
  *upHosts(): Generator<string> {
    for (const host of this.#hosts.values()) if (host.up) yield host.id;
  }

  /** Hosts with live tasks. */
  busyHosts(): Iterable<string> {
    return this.#byHost.keys();
  }

  /** The agent that speaks for that host name, as the feed told last; undefined: the host is not known. */
  agentOf(hostId: string): string | undefined {
    return this.#hosts.get(hostId)?.agentId;
  }

  get hostCount(): number {
    return this.#hosts.size;
  }
}

function arrayOf(taskId: string): string | undefined {
  const { number, index } = splitTaskId(taskId);
  return index === undefined ? undefined : `${number}`;
}
