import { isLive, isTerminal, splitTaskId } from "@berth/core";
import type { StateKind, TaskRequest } from "@berth/core";

/** A task as the watcher reads it from a row of the change feed. */
export interface TaskFacts {
  readonly id: string;
  readonly revision: number;
  readonly state: StateKind;
  readonly attempt: number;
  readonly hostId: string;
  /** The journal for which it was placed. */
  readonly journalId: string;
  readonly request: TaskRequest | undefined;
  readonly requestBy: string;
  readonly isArray: boolean;
}

export interface HostFacts {
  readonly id: string;
  readonly revision: number;
  readonly up: boolean;
  /** The id of the agent that uses the host name; empty if that agent sends none. */
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
 * The live runs and the requests for them, built from the change feed. A view may lag, and a missing run proves nothing, so storage is asked about every run
 * that is not here.
 */
export class RunView {
  readonly #live = new Map<string, LiveTask>();
  readonly #byHost = new Map<string, Set<string>>();
  /** Arrays that are not over, and their live elements. */
  readonly #arrays = new Map<string, { facts: TaskFacts | undefined; readonly live: Set<string> }>();
  readonly #hosts = new Map<string, HostFacts>();
  readonly #toWake = new Set<string>();
  /** Placements in the order of arrival, to find those that no agent lists. */
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

  /** The request for a live task: its own or its array's, whichever is stronger. */
  asked(task: LiveTask): Requested | undefined {
    const arrayId = arrayOf(task.id);
    const array = arrayId === undefined ? undefined : this.#arrays.get(arrayId)?.facts;
    const own = task.request === undefined ? undefined : { request: task.request, by: task.requestBy };
    const shared = array?.request === undefined ? undefined : { request: array.request, by: array.requestBy };
    if (!own || !shared) return own ?? shared;
    return strength[shared.request] > strength[own.request] ? shared : own;
  }

  /** The agent listed the run, so it has received the placement. */
  listed(taskId: string, attempt: number): void {
    if (this.#live.get(taskId)?.attempt === attempt) this.#listed.add(taskId);
  }

  /** Hosts with new requests since the last call. */
  takeToWake(): ReadonlySet<string> {
    const hosts = new Set(this.#toWake);
    this.#toWake.clear();
    return hosts;
  }

  /** Hosts with a placement older than this that no agent has listed; each placement is reported once. */
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

  /** The agent that uses the host name, by the last row of the feed; undefined if the host is unknown. */
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
