import { isLive } from "@berth/core";
import { pendingCode, stateOf } from "../../decisions/record/codes.ts";
import type { Salvaged } from "../../decisions/record/damage.ts";
import { taskChange } from "../../decisions/record/feed-row.ts";
import { closeArray } from "../../decisions/close-array.ts";
import { declaredLost } from "../../decisions/host-news.ts";
import type { ArrayRecord } from "../../domain/array-record.ts";
import { chunkOf } from "../../domain/chunk-range.ts";
import { unfold } from "./chunks.ts";
import { arrayDoc, openArray } from "./open-array.ts";
import type { AttemptRecord, Foreseen, NewRecord, OpenArray, Records, TaskKey } from "../../ports/records.ts";
import type { AttemptDoc, ChunkDoc, HostDoc, KeyDoc, LeaseDoc, TaskDoc } from "./collections.ts";
import { attemptKey, chunkKey, clientKeyOf, taskKey } from "./collections.ts";
import { freshTask } from "../../decisions/record/columns.ts";
import type { SpecColumns, TaskColumns } from "../../decisions/record/columns.ts";
import { indexed } from "./task-doc.ts";
import type { TaskRecord } from "./task-doc.ts";
import { bytes } from "./spec-doc.ts";
import type { SpecDoc } from "./spec-doc.ts";
import { damagedSpec, livingElements, salvaged } from "./damaged-docs.ts";
import { hostOf, recordOf } from "./host-doc.ts";
import { putHost } from "./hosts.ts";
import { Changes } from "./changes.ts";
import { ToLoad, NotLoaded } from "./to-load.ts";
import type { Counters, Work } from "./work.ts";

/** How many elements are looked for at once when a cursor has to step over those that were killed early. */
const stepsAtOnce = 256;

/** One call of a store within a transaction. Its changes are kept only if it ends without an error. */
export class MongoRecords implements Records {
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

  /** Asks for many documents at once (specs, tasks, attempts), because each missing document makes the decision run again from its beginning. */
  foresee(add: (look: Foreseen) => void): void {
    const toLoad = new ToLoad();
    add(toLoad);
    if (!this.#work.holds(toLoad)) throw new NotLoaded(add);
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

  /** `also`: other keys to load in the same query, because they are asked for if this one does not exist. */
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

  waitingElements(number: number): TaskDoc[] {
    return this.#now(this.#work.elements(number)).filter((task) => task.state === pendingCode);
  }

  /** Tasks that have a place on a host. */
  liveOn(host: string): TaskDoc[] {
    return this.#now(this.#work.on(host))
      .filter((task) => task.host === host && isLive(stateOf(task.state)))
      .sort((a, b) => (a._id < b._id ? -1 : 1));
  }

  leasedOn(host: string): TaskDoc[] {
    return this.liveOn(host).filter((task) => task.lease_ms !== 0);
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

  clientKey(user: string, key: string): KeyDoc | undefined {
    return this.key(clientKeyOf(user, key));
  }

  key(id: string): KeyDoc | undefined {
    return this.changes.keys.get(id) ?? this.#work.key(id);
  }

  attempt({ number, idx }: TaskKey, attempt: number): AttemptDoc | undefined {
    const id = attemptKey(number, idx, attempt);
    return this.changes.attempts.has(id) ? this.changes.attempts.get(id) : this.#work.attempt(id);
  }

  attemptsBefore(of: TaskKey, attempt: number): AttemptDoc[] {
    return Array.from({ length: attempt - 1 }, (_, before) => before + 1).flatMap(
      (before) => this.attempt(of, before) ?? [],
    );
  }

  putAttempt({ number, idx }: TaskKey, attempt: AttemptRecord): void {
    const id = attemptKey(number, idx, attempt.attempt);
    this.changes.attempts.set(id, { ...attempt, _id: id });
  }

  journalOf(hostId: string): string | undefined {
    const host = this.host(hostId);
    return host && hostOf(host)?.journalId;
  }

  declareLost(hostId: string, by: string): void {
    const host = this.host(hostId);
    if (host) putHost(this, hostId, declaredLost(recordOf(host), by));
  }

  schedulerTerm(): number {
    return this.lease("scheduler")?.term ?? 0;
  }

  history(number: number, idx: number): AttemptDoc[] {
    return this.#work.history(number, idx);
  }

  lease(name: string): LeaseDoc | undefined {
    return this.changes.leases.get(name) ?? this.#work.lease(name);
  }

  putLease(lease: LeaseDoc): void {
    this.changes.leases.set(lease.name, lease);
  }

  host(id: string): HostDoc | undefined {
    return this.changes.hosts.get(id) ?? this.#work.host(id);
  }

  /** Stores a task's or element's new form under a revision of its own, and announces it. */
  announce(row: Omit<TaskRecord, "revision">, spec: SpecDoc, array?: ArrayRecord): TaskDoc {
    const revision = this.nextRevision();
    const doc = indexed({ ...row, revision }, this.at, array && arrayDoc(array));
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

  add(spec: SpecColumns, { loss, array, runSpec, clientKey, parents }: NewRecord): void {
    const { number, user } = spec;
    const key = clientKey && clientKeyOf(user, clientKey.key);
    const doc: SpecDoc = { ...spec, _id: number, run_spec: runSpec, ...(key === undefined ? {} : { client_key: key }) };
    this.changes.specs.set(number, doc);
    if (key !== undefined) this.changes.keys.set(key, { _id: key, number, spec_hash: clientKey!.spec_hash });
    const unsettled = array ? { unsettled: 1 as const } : {};
    const row = freshTask(number, -1, user, pendingCode, loss);
    this.announce({ ...row, ...unsettled, ...(parents.length > 0 ? { parents } : {}) }, doc, array);
  }

  /** Stores a record without a row in the feed. */
  keep(doc: TaskDoc): void {
    this.changes.tasks.set(doc._id, doc);
  }

  isSettled(number: number): boolean {
    return this.task(number, -1)?.unsettled === undefined;
  }

  remove({ number, is_array: isArray }: SpecColumns): void {
    const key = this.spec(number)?.client_key;
    if (key !== undefined && this.key(key)?.number === number) this.changes.keys.set(key, undefined);
    if (isArray === 1) this.changes.remains.add(number);
    else for (const { _id } of this.history(number, -1)) this.changes.attempts.set(_id, undefined);
    this.changes.tasks.set(taskKey(number, -1), undefined);
    this.changes.specs.set(number, undefined);
  }

  row(revision: number, user: string | null, row: Buffer): void {
    this.changes.rows.push({ revision, user, row });
  }

  /** Writes the arrays that changed. The last step of a call. */
  flush(): void {
    for (const array of this.#arrays.values()) if (array?.dirty) this.#writeArray(array);
  }

  #writeArray(array: OpenArray): void {
    const whole = this.task(array.number, -1)!;
    const spec = this.spec(array.number)!;
    this.announce(closeArray(array, whole, this.at), spec, array);
  }
}

function* following(number: number, from: number, upTo: number, step: number): Generator<string> {
  for (let idx = from; idx <= upTo; idx += step) yield taskKey(number, idx);
}

/** Runs one call on the loaded documents, and keeps its changes. If a document is missing, loads it and runs the call again. If the call throws, none of its changes are kept. */
export async function decide<T>(work: Work, call: (records: MongoRecords) => T): Promise<T> {
  for (;;) {
    const records = new MongoRecords(work);
    try {
      const value = call(records);
      records.flush();
      work.changes.merge(records.changes);
      Object.assign(work.counters, records.counters);
      return value;
    } catch (error) {
      if (!(error instanceof NotLoaded)) throw error;
      await work.load(error.toLoad);
    }
  }
}
