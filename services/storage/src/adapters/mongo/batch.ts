import { isLive } from "@berth/core";
import { killCode, outcomeCode, overCode, pendingCode, stateOf } from "../records/codes.ts";
import type { Salvaged } from "../records/damage.ts";
import { taskChange } from "../records/feed-row.ts";
import { arrayOutcome, isDone } from "../../domain/array-record.ts";
import type { ArrayRecord } from "../../domain/array-record.ts";
import { chunkOf, unfold } from "./chunks.ts";
import { arrayDoc, openArray } from "./open-array.ts";
import type { OpenArray } from "./open-array.ts";
import type { ArrayDoc, AttemptDoc, ChunkDoc, HostDoc, KeyDoc, LeaseDoc, TaskDoc } from "./collections.ts";
import { chunkKey, taskKey } from "./collections.ts";
import type { SpecColumns, TaskColumns } from "../records/columns.ts";
import { bytes } from "./spec-doc.ts";
import type { SpecDoc } from "./spec-doc.ts";
import { damagedSpec, livingElements, salvaged } from "./damaged-docs.ts";
import { Changes } from "./changes.ts";
import { Needs, NotLoaded } from "./needs.ts";
import type { Counters, Work } from "./work.ts";

/** A record before it is stored. */
export type TaskRecord = Omit<TaskDoc, "_id">;

/** How many elements are looked for at once when a cursor has to step over those that were killed early. */
const stepsAtOnce = 256;

/** One call of a store within a transaction: what it changes counts only if it ends without an error. */
export class Batch {
  readonly at: number;
  readonly changes = new Changes();
  readonly counters: Counters;
  readonly #work: Work;
  readonly #arrays = new Map<number, OpenArray | undefined>();

  constructor(work: Work) {
    this.#work = work;
    this.at = work.at;
    this.counters = { ...work.counters };
  }

  get sums() {
    return this.changes.sums;
  }

  /** Asks for much at once (specs, tasks, attempts) before it is looked at one by one: each lack runs the decision again from its beginning. */
  foresee(add: (needs: Needs) => void): void {
    const needs = new Needs();
    add(needs);
    if (!this.#work.holds(needs)) throw new NotLoaded(add);
  }

  nextRevision(): number {
    return (this.counters.revision += 1);
  }

  nextNumber(): number {
    return (this.counters.number += 1);
  }

  spec(number: number): SpecDoc | undefined {
    return this.changes.specs.has(number) ? this.changes.specs.get(number) : this.#work.spec(number);
  }

  wholeSpec(number: number): SpecDoc | undefined {
    return this.changes.specs.has(number) ? this.changes.specs.get(number) : this.#work.wholeSpec(number);
  }

  /** The spec as it was given, of a task that is there. */
  encodedSpec(number: number): Uint8Array {
    return this.wholeSpec(number)!.run_spec!;
  }

  /** A task's, an array's or an element's record, folded or not. */
  task(number: number, idx: number): TaskDoc | undefined {
    const record = this.#record(number, idx);
    if (record || idx < 0) return record;
    const whole = this.#record(number, -1);
    // Folded ones are all before the cursor.
    if (!whole?.array || idx >= whole.array.cursor) return undefined;
    const key = chunkKey(number, chunkOf(whole.array, idx));
    return unfold(this.changes.chunks.get(key) ?? this.#work.chunk(key), whole, idx);
  }

  /** `also`: other keys that will be asked for, should this one not be there. */
  #record(number: number, idx: number, also: Iterable<string> = []): TaskDoc | undefined {
    const key = taskKey(number, idx);
    return this.changes.tasks.has(key) ? this.changes.tasks.get(key) : this.#work.task(key, also);
  }

  record(key: string): TaskDoc | undefined {
    return this.changes.tasks.has(key) ? this.changes.tasks.get(key) : this.#work.task(key);
  }

  chunk(key: string): ChunkDoc | undefined {
    return this.changes.chunks.get(key) ?? this.#work.chunk(key);
  }

  /** Elements of an array that live or wait. */
  liveElements(number: number): TaskDoc[] {
    return this.#now(this.#work.elements(number)).filter((task) => task.state < overCode);
  }

  /** Tasks that have a place on a host. */
  liveOn(host: string): TaskDoc[] {
    return this.#now(this.#work.on(host))
      .filter((task) => task.host === host && isLive(stateOf(task.state)))
      .sort((a, b) => (a._id < b._id ? -1 : 1));
  }

  #now(tasks: readonly TaskDoc[]): TaskDoc[] {
    return tasks.flatMap((task) => this.record(task._id) ?? []);
  }

  isWaitedFor(number: number): boolean {
    return this.#work.isWaitedFor(number);
  }

  /** Whether an element has a record; what follows it will be asked for, too, when a cursor steps on. */
  hasRecord(array: ArrayRecord & { readonly number: number }, idx: number): boolean {
    const { last, step } = array.range;
    const also = following(array.number, idx, Math.min(last, idx + stepsAtOnce * step), step);
    return this.#record(array.number, idx, also) !== undefined;
  }

  array(number: number): OpenArray | undefined {
    if (this.#arrays.has(number)) return this.#arrays.get(number);
    const whole = this.task(number, -1);
    const array = whole?.array && openArray(whole, whole.array);
    this.#arrays.set(number, array);
    return array;
  }

  key(id: string): KeyDoc | undefined {
    return this.changes.keys.get(id) ?? this.#work.key(id);
  }

  attempt(id: string): AttemptDoc | undefined {
    return this.changes.attempts.has(id) ? this.changes.attempts.get(id) : this.#work.attempt(id);
  }

  history(number: number, idx: number): AttemptDoc[] {
    return this.#work.history(number, idx);
  }

  lease(name: string): LeaseDoc | undefined {
    return this.changes.leases.get(name) ?? this.#work.lease(name);
  }

  host(id: string): HostDoc | undefined {
    return this.changes.hosts.get(id) ?? this.#work.host(id);
  }

  /** Stores a task's or element's new form under a revision of its own, and announces it. */
  announce(row: Omit<TaskRecord, "revision">, spec: SpecDoc, array?: ArrayRecord): TaskDoc {
    const revision = this.nextRevision();
    const doc = stored({ ...row, revision }, this.at, array && arrayDoc(array));
    this.changes.tasks.set(doc._id, doc);
    this.row(revision, spec.user, taskChange(revision, doc, spec, array));
    return doc;
  }

  /** What can be read of a damaged record; undefined where there is none. */
  salvaged(number: number, idx: number): Salvaged | undefined {
    return salvaged(this.#work, number, idx);
  }

  /** Indexes of an array's elements that have a record and are not over, damaged ones too. */
  livingElements(number: number): readonly number[] {
    return livingElements(this.#work, number);
  }

  /** Puts a record that can be read in the place of a damaged one, and announces it. */
  replace(row: TaskColumns, spec: SpecColumns, array: ArrayRecord | undefined): void {
    const { number } = row;
    const damaged = damagedSpec(this.#work, number);
    if (damaged) {
      const { client_key: key, run_spec: given } = damaged;
      const doc = { ...spec, _id: number, run_spec: bytes(given) };
      this.changes.specs.set(number, key === undefined ? doc : { ...doc, client_key: String(key) });
    }
    this.#arrays.delete(number);
    this.announce(row, this.spec(number)!, array);
  }

  /** Stores a form that nobody needs to be told of. */
  keep(doc: TaskDoc): void {
    this.changes.tasks.set(doc._id, doc);
  }

  row(revision: number, user: string | null, row: Buffer): void {
    this.changes.rows.push({ revision, user, row });
  }

  /** Writes the arrays that changed. Last thing in a call. */
  flush(): void {
    for (const array of this.#arrays.values()) if (array?.dirty) this.#writeArray(array);
  }

  #writeArray(array: OpenArray): void {
    const whole = this.task(array.number, -1)!;
    const spec = this.spec(array.number)!;
    if (!isDone(array)) {
      const startedAt = array.live > 0 ? (whole.started_at ?? this.at) : whole.started_at;
      const { state, request, requestBy } = array;
      this.announce({ ...whole, state, request, request_by: requestBy, started_at: startedAt }, spec, array);
      return;
    }
    const counted = arrayOutcome(array, array.request === killCode ? array.requestBy : undefined);
    const end = array.verdict ?? { outcome: counted.outcome, ...counted.reason };
    const over = {
      ...whole,
      state: overCode,
      request: 0,
      outcome: outcomeCode(end.outcome),
      reason_code: end.code,
      reason_message: end.message,
      ended_at: this.at,
      cpu_ms: array.cpuMs,
      wall_ms: array.wallMs,
    };
    this.announce(over, spec, array);
  }
}

/** The document of a record: what its state says of it, for indexes to find it by. */
function stored(row: TaskRecord, at: number, array: ArrayDoc | undefined): TaskDoc {
  const { live: _, parents, ...columns } = row;
  const isLiving = row.state < overCode;
  const isOver = row.state === overCode && row.idx < 0;
  return {
    ...columns,
    _id: taskKey(row.number, row.idx),
    ...(isLiving ? { live: 1 as const } : {}),
    ...(parents && row.state === pendingCode ? { parents } : {}),
    ...(array ? { array } : {}),
    ...(isOver && row.over_at === undefined ? { over_at: at } : {}),
    // An array goes with its elements, when all of them are folded.
    ...(isOver && row.phase === undefined && row.unsettled === undefined ? { phase: 0 as const } : {}),
  };
}

function* following(number: number, from: number, upTo: number, step: number): Generator<string> {
  for (let idx = from; idx <= upTo; idx += step) yield taskKey(number, idx);
}

/** Runs one call on what is in hand, and keeps what it changes; loads what is missing and runs it again. What it throws is its own: nothing of it is kept. */
export async function decide<T>(work: Work, call: (batch: Batch) => T): Promise<T> {
  for (;;) {
    const batch = new Batch(work);
    try {
      const value = call(batch);
      batch.flush();
      work.changes.merge(batch.changes);
      Object.assign(work.counters, batch.counters);
      return value;
    } catch (error) {
      if (!(error instanceof NotLoaded)) throw error;
      await work.load(error.needs);
    }
  }
}
