import type { Resources } from "@berth/core";
import { longestLead } from "./hosts.ts";
import type { TaskRecord } from "./records.ts";

/** A shape whose tasks end within this time is short. */
const shortMs = 20;
/** How long the lead of short tasks keeps a host busy. Longer than a report to the database and new placements take. */
const leadMs = 150;
/** Weight of the newest run in the moving average. A run longer than `longMs` replaces the average. */
const weight = 0.1;
const longMs = 200;

/** All shapes with the same needs. If one does not fit, none does. */
export interface NeedClass {
  readonly needs: Resources;
  /** Shapes with at least one queued task. */
  readonly shapes: Set<Shape>;
}

/** Tasks of one user and project with the same needs, in submission order. If the first does not fit, none does. */
export class Shape {
  readonly user: string;
  readonly project: string;
  readonly priority: number;
  readonly avoidHosts: readonly string[];
  readonly needClass: NeedClass;
  /** Removed from the index while it was empty. New tasks of its kind get a new shape. */
  swept = false;
  #entries: (TaskRecord | undefined)[] = [];
  #start = 0;
  #queued = 0;
  #arrays = 0;
  #ranMs = Infinity;

  constructor(user: string, project: string, priority: number, avoidHosts: readonly string[], needClass: NeedClass) {
    this.user = user;
    this.project = project;
    this.priority = priority;
    this.avoidHosts = avoidHosts;
    this.needClass = needClass;
  }

  get needs(): Resources {
    return this.needClass.needs;
  }

  /** One of its tasks ran that long. */
  ran(ms: number): void {
    this.#ranMs = ms > longMs || this.#ranMs === Infinity ? ms : this.#ranMs + (ms - this.#ranMs) * weight;
  }

  /** How many times its capacity a host may be given of its tasks ahead; 0 unless they are short. */
  get lead(): number {
    return this.short ? Math.min(longestLead, Math.floor(leadMs / Math.max(this.#ranMs, 1))) : 0;
  }

  /** Whether its recent tasks end sooner than a new placement could arrive. */
  get short(): boolean {
    return this.#ranMs <= shortMs;
  }

  /** How many tasks are queued; an array counts once. */
  get queued(): number {
    return this.#queued;
  }

  /** Inserts a task in order: nearly always at the end, or at the front for one that returns. */
  add(record: TaskRecord): void {
    const at = this.#lowerBound(record);
    const there = this.#entries[at];
    if (there && compareOrder(there, record) === 0) this.#entries[at] = record; // its own grave
    else this.#insert(at, record);
    record.queuedIn = this;
    if (record.array) this.#arrays++;
    if (this.#queued++ === 0) this.needClass.shapes.add(this);
  }

  remove(record: TaskRecord): void {
    record.queuedIn = undefined; // a grave from now on
    if (record.array) this.#arrays--;
    if (--this.#queued === 0) {
      this.#entries = [];
      this.#start = 0;
      this.needClass.shapes.delete(this);
      return;
    }
    while (this.#entries[this.#start]?.queuedIn !== this) this.#entries[this.#start++] = undefined;
    const length = this.#entries.length - this.#start;
    if (length > 64 && length > this.#queued * 2) this.#compact();
    else if (this.#start > 1024 && this.#start > length) this.#compact();
  }

  /** Position of the first queued task at or after `position`, for `at`; -1 at the end. Positions are valid until the next add or remove. */
  from(position: number): number {
    for (let at = Math.max(position, this.#start); at < this.#entries.length; at++)
      if (this.#entries[at]?.queuedIn === this) return at;
    return -1;
  }

  at(position: number): TaskRecord {
    return this.#entries[position]!;
  }

  /** Queued tasks, arrays by their unclaimed elements, that stand before `record` in the order of submission. */
  countBefore(record: TaskRecord): number {
    const plain = this.#arrays === 0 && this.#entries.length - this.#start === this.#queued;
    if (plain) return this.#lowerBound(record) - this.#start;
    let count = 0;
    for (let at = this.from(0); at >= 0; at = this.from(at + 1)) {
      const entry = this.#entries[at]!;
      if (compareOrder(entry, record) >= 0) break;
      count += entry.array ? entry.array.unclaimed() : 1;
    }
    return count;
  }

  #insert(at: number, record: TaskRecord): void {
    if (at === this.#entries.length) this.#entries.push(record);
    else if (this.#start > 0 && at - this.#start < this.#entries.length - at) {
      for (let i = this.#start; i < at; i++) this.#entries[i - 1] = this.#entries[i];
      this.#entries[at - 1] = record;
      this.#start--;
    } else this.#entries.splice(at, 0, record);
  }

  #lowerBound(record: TaskRecord): number {
    const end = this.#entries.length;
    const last = this.#entries[end - 1];
    if (end === this.#start || (last && compareOrder(last, record) < 0)) return end;
    let [low, high] = [this.#start, end];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareOrder(this.#entries[middle]!, record) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #compact(): void {
    this.#entries = this.#entries.slice(this.#start).filter((entry) => entry?.queuedIn === this);
    this.#start = 0;
  }
}

/** Submission order. Elements of an array that wait again come before its unclaimed rest. */
export const compareOrder = (a: TaskRecord, b: TaskRecord): number => a.number - b.number || a.index - b.index;

/** The index of shapes. Empty shapes and classes are kept for reuse, up to a limit. */
export class Shapes {
  readonly #shapes = new Map<string, Shape>();
  readonly #classes = new Map<string, NeedClass>();
  #sweepAt = 10_000;

  of(task: {
    user: string;
    project: string;
    priority: number;
    needs: Resources;
    avoidHosts: readonly string[];
  }): Shape {
    const { cpuMilli, memoryBytes } = task.needs;
    const avoid = task.avoidHosts.length === 0 ? "" : task.avoidHosts.toSorted().join(",");
    const key = `${task.user}\n${task.project}\n${cpuMilli}\n${memoryBytes}\n${task.priority}\n${avoid}`;
    const known = this.#shapes.get(key);
    if (known) return known;
    if (this.#shapes.size >= this.#sweepAt) this.#sweep();
    const classKey = `${cpuMilli}/${memoryBytes}`;
    let needClass = this.#classes.get(classKey);
    if (!needClass) this.#classes.set(classKey, (needClass = { needs: { cpuMilli, memoryBytes }, shapes: new Set() }));
    const shape = new Shape(task.user, task.project, task.priority, task.avoidHosts, needClass);
    this.#shapes.set(key, shape);
    return shape;
  }

  classes(): IterableIterator<NeedClass> {
    return this.#classes.values();
  }

  all(): IterableIterator<Shape> {
    return this.#shapes.values();
  }

  /** Removes empty shapes from the index. Live records may still hold a reference and read their needs from it. */
  #sweep(): void {
    for (const [key, shape] of this.#shapes) {
      if (shape.queued > 0) continue;
      shape.swept = true;
      this.#shapes.delete(key);
    }
    const used = new Set([...this.#shapes.values()].map((shape) => shape.needClass));
    for (const [key, needClass] of this.#classes) if (!used.has(needClass)) this.#classes.delete(key);
    this.#sweepAt = Math.max(10_000, this.#shapes.size * 2);
  }
}
