import type { Document } from "mongodb";
import { recordUnreadable, unlessUnreadable } from "../../decisions/record/damage.ts";
import type { AttemptDoc, ChunkDoc, HostDoc, KeyDoc, LeaseDoc, TaskDoc, WriterDoc } from "./collections.ts";
import { afterElements, taskKey } from "./collections.ts";
import type { CollectionName } from "./collections.ts";
import { DamagedDocs } from "./damaged-docs.ts";
import type { MongoCalls, Session, Write } from "./calls.ts";
import { Changes } from "./changes.ts";
import { are, missing, NotLoaded } from "./to-load.ts";
import type { ToLoad } from "./to-load.ts";
import { toTask } from "./task-doc.ts";
import { writesOf } from "./writes.ts";
import { bytes, specProjection, toSpec } from "./spec-doc.ts";
import type { SpecCache } from "./spec-cache.ts";
import type { SpecDoc } from "./spec-doc.ts";

/** The counters of a transaction. A decision that fails does not change them. */
export interface Counters {
  revision: number;
  number: number;
  purgedUpTo: number;
  believedAt: number | undefined;
}

/** The documents of one transaction or one question: as they were read, and as its decisions have changed them. */
export class Work {
  readonly calls: MongoCalls;
  readonly session: Session | undefined;
  readonly at: number;
  readonly hosts: ReadonlyMap<string, HostDoc>;
  readonly changes = new Changes();
  readonly counters: Counters;
  readonly #cache: SpecCache;
  readonly #known: ReadonlyMap<string, TaskDoc>;
  readonly #leases: ReadonlyMap<string, LeaseDoc>;
  readonly #specs = new Map<number, SpecDoc | undefined>();
  readonly #tasks = new Map<string, TaskDoc | undefined>();
  readonly #keys = new Map<string, KeyDoc | undefined>();
  readonly #attempts = new Map<string, AttemptDoc | undefined>();
  readonly #chunks = new Map<string, ChunkDoc | undefined>();
  readonly #elements = new Set<number>();
  readonly #liveOn = new Set<string>();
  readonly #waitedFor = new Map<number, boolean>();
  readonly #history = new Set<string>();
  readonly damaged = new DamagedDocs();
  readonly #loadedWhole = new Set<number>();
  /** Which of the tasks were there before: they are replaced, others are inserted. */
  readonly #there = new Set<string>();

  constructor(
    calls: MongoCalls,
    writer: WriterDoc,
    hosts: ReadonlyMap<string, HostDoc>,
    at: number,
    session: Session | undefined,
    cache: SpecCache,
    /** Records that are known to hold. */
    known: ReadonlyMap<string, TaskDoc> = new Map(),
  ) {
    this.#known = known;
    this.#cache = cache;
    this.calls = calls;
    this.session = session;
    this.at = at;
    this.hosts = hosts;
    this.#leases = new Map(writer.leases.map((lease) => [lease.name, lease]));
    this.counters = {
      revision: writer.revision,
      number: writer.number,
      purgedUpTo: writer.purged_up_to,
      believedAt: writer.believed_at,
    };
  }

  spec(number: number): SpecDoc | undefined {
    if (this.changes.specs.has(number)) return this.changes.specs.get(number);
    if (!this.#specs.has(number)) throw new NotLoaded((toLoad) => toLoad.specs.add(number));
    if (this.damaged.specs.has(number)) toSpec(this.damaged.specs.get(number)!);
    return this.#specs.get(number);
  }

  /** With the spec as it was given. */
  wholeSpec(number: number): SpecDoc | undefined {
    const spec = this.spec(number);
    if (spec && spec.run_spec === undefined) this.needWhole(number);
    return spec;
  }

  /** Throws NotLoaded, or RECORD_UNREADABLE where the spec as it was given is missing in the database. */
  needWhole(number: number): never {
    if (this.#loadedWhole.has(number)) throw recordUnreadable(number, -1, "run_spec");
    throw new NotLoaded((toLoad) => toLoad.runSpecs.add(number));
  }

  /** `also`: other keys to load in the same query, because they are asked for if this one does not exist. */
  task(key: string, also: Iterable<string> = []): TaskDoc | undefined {
    if (this.changes.tasks.has(key)) return this.changes.tasks.get(key);
    if (!this.#tasks.has(key)) {
      throw new NotLoaded((toLoad) => {
        toLoad.tasks.add(key);
        for (const other of also) toLoad.tasks.add(other);
      });
    }
    if (this.damaged.tasks.has(key)) toTask(this.damaged.tasks.get(key)!);
    return this.#tasks.get(key);
  }

  chunk(key: string): ChunkDoc | undefined {
    const changed = this.changes.chunks.get(key);
    if (changed) return changed;
    if (!this.#chunks.has(key)) throw new NotLoaded((toLoad) => toLoad.chunks.add(key));
    return this.#chunks.get(key);
  }

  /** Records of an array's elements; all that are not over are among them. */
  elements(number: number): TaskDoc[] {
    if (!this.#elements.has(number)) throw new NotLoaded((toLoad) => toLoad.elements.add(number));
    const [from, upTo] = [taskKey(number, 0), afterElements(number)];
    return this.#inHand((key) => key >= from && key < upTo);
  }

  /** Records of a host; all that are live are among them. */
  on(host: string): TaskDoc[] {
    if (!this.#liveOn.has(host)) throw new NotLoaded((toLoad) => toLoad.hosts.add(host));
    return this.#inHand().filter((task) => task.host === host);
  }

  #inHand(wanted: (key: string) => boolean = () => true): TaskDoc[] {
    const keys = new Set([...this.#tasks.keys(), ...this.changes.tasks.keys()]);
    return [...keys].filter(wanted).flatMap((key) => unlessUnreadable(() => this.task(key)) ?? []);
  }

  /** Whether a pending task waits for that one. */
  isWaitedFor(number: number): boolean {
    if (!this.#waitedFor.has(number)) throw new NotLoaded((toLoad) => toLoad.waitedFor.add(number));
    if (this.#waitedFor.get(number)) return true;
    return [...this.changes.tasks.values()].some((task) => task?.parents?.includes(number));
  }

  key(id: string): KeyDoc | undefined {
    if (this.changes.keys.has(id)) return this.changes.keys.get(id);
    if (!this.#keys.has(id)) throw new NotLoaded((toLoad) => toLoad.keys.add(id));
    return this.#keys.get(id);
  }

  attempt(id: string): AttemptDoc | undefined {
    if (this.changes.attempts.has(id)) return this.changes.attempts.get(id);
    if (!this.#attempts.has(id)) throw new NotLoaded((toLoad) => toLoad.attemptIds.add(id));
    return this.#attempts.get(id);
  }

  /** All earlier attempts of a task, in their order. */
  history(number: number, idx: number): AttemptDoc[] {
    const key = taskKey(number, idx);
    if (!this.#history.has(key)) throw new NotLoaded((toLoad) => toLoad.history.add(key));
    const of = (id: string) => id.startsWith(`${key}/`);
    const ids = new Set([...this.#attempts.keys(), ...this.changes.attempts.keys()].filter(of));
    return [...ids].sort().flatMap((id) => this.attempt(id) ?? []);
  }

  lease(name: string): LeaseDoc | undefined {
    return this.changes.leases.get(name) ?? this.#leases.get(name);
  }

  host(id: string): HostDoc | undefined {
    return this.changes.hosts.get(id) ?? this.hosts.get(id);
  }

  leases(): LeaseDoc[] {
    return [...new Map([...this.#leases, ...this.changes.leases]).values()];
  }

  /** Whether all of these documents are loaded, as far as they are found by their keys. */
  holds({ specs, tasks, attemptIds }: ToLoad): boolean {
    return are(specs, this.#specs) && are(tasks, this.#tasks) && are(attemptIds, this.#attempts);
  }

  /** Loads the documents that are missing, one query after the other, because a transaction can have only one under way. */
  async load(toLoad: ToLoad): Promise<void> {
    const whole = [...toLoad.runSpecs].filter((number) => this.#specs.get(number)?.run_spec === undefined);
    await this.#loadSpecs(whole, {});
    for (const number of whole) this.#loadedWhole.add(number);
    await this.#loadSpecs(
      [...toLoad.specs].filter((number) => !this.#specs.has(number)),
      { projection: specProjection },
    );
    await this.#loadTasks([...toLoad.tasks].filter((key) => !this.#tasks.has(key)));
    for (const number of toLoad.elements) await this.#loadElements(number);
    for (const host of toLoad.hosts) await this.#loadLiveOn(host);
    await this.#loadWaitedFor([...toLoad.waitedFor]);
    const keys = [...toLoad.keys].filter((key) => !this.#keys.has(key));
    for (const doc of await this.#byId("client_keys", keys)) {
      const key = doc as unknown as KeyDoc;
      this.#keys.set(key._id, { ...key, spec_hash: bytes(key.spec_hash) });
    }
    missing(this.#keys, keys);
    await this.#loadAttempts(toLoad);
  }

  /** All specs that it loaded or made; to be used once its transaction is committed. */
  get specs(): ReadonlyMap<number, SpecDoc | undefined> {
    return new Map([...this.#specs, ...this.changes.specs]);
  }

  async #loadSpecs(wanted: readonly number[], options: { projection?: typeof specProjection }): Promise<void> {
    const numbers = wanted.filter((number) => {
      const known = this.#cache.get(number);
      if (!known || (!options.projection && known.run_spec === undefined)) return true;
      this.#specs.set(number, known);
      return false;
    });
    for (const doc of await this.#byId("specs", numbers, options)) {
      const spec = unlessUnreadable(() => toSpec(doc));
      this.#specs.set(Number(doc["_id"]), spec);
      if (!spec) this.damaged.specs.set(Number(doc["_id"]), doc);
    }
    missing(this.#specs, numbers);
  }

  /** All records that it loaded or made; to be used once its transaction is committed. */
  get tasks(): ReadonlyMap<string, TaskDoc | undefined> {
    return new Map([...this.#tasks, ...this.changes.tasks]);
  }

  async #loadTasks(wanted: readonly string[]): Promise<void> {
    const keys = wanted.filter((key) => {
      const known = this.#known.get(key);
      if (known) this.#keep(known._id, known);
      return !known;
    });
    for (const doc of await this.#byId("tasks", keys)) this.#has(doc);
    missing(this.#tasks, keys);
  }

  async #loadElements(number: number): Promise<void> {
    const filter = { live: 1, _id: { $gte: taskKey(number, 0), $lt: afterElements(number) } };
    for (const doc of await this.calls.find("tasks", filter, {}, this.session)) this.#has(doc);
    this.#elements.add(number);
  }

  async #loadLiveOn(host: string): Promise<void> {
    for (const doc of await this.calls.find("tasks", { live: 1, host }, {}, this.session)) this.#has(doc);
    this.#liveOn.add(host);
  }

  async #loadWaitedFor(numbers: readonly number[]): Promise<void> {
    if (numbers.length === 0) return;
    const options = { projection: { parents: 1 } };
    const waiting = await this.calls.find("tasks", { parents: { $in: numbers } }, options, this.session);
    const parents = new Set(waiting.flatMap((doc) => doc["parents"] as number[]));
    for (const number of numbers) this.#waitedFor.set(number, parents.has(number));
  }

  async #loadAttempts(toLoad: ToLoad): Promise<void> {
    const chunks = [...toLoad.chunks].filter((key) => !this.#chunks.has(key));
    for (const doc of await this.#byId("folded", chunks))
      this.#chunks.set(String(doc["_id"]), { ...(doc as unknown as ChunkDoc), body: bytes(doc["body"]) });
    missing(this.#chunks, chunks);
    const ids = [...toLoad.attemptIds].filter((id) => !this.#attempts.has(id));
    const found = await this.#byId("attempts", ids);
    for (const key of toLoad.history) {
      const filter = { _id: { $gte: `${key}/`, $lt: `${key}0` } };
      found.push(...(await this.calls.find("attempts", filter, {}, this.session)));
      this.#history.add(key);
    }
    for (const doc of found) this.#attempts.set(String(doc["_id"]), doc as unknown as AttemptDoc);
    missing(this.#attempts, ids);
  }

  #byId(name: CollectionName, ids: readonly unknown[], options = {}) {
    if (ids.length === 0) return Promise.resolve([]);
    return this.calls.find(name, { _id: { $in: ids } }, options, this.session);
  }

  #has(doc: Document): void {
    const key = String(doc["_id"]);
    const task = unlessUnreadable(() => toTask(doc));
    if (!task) this.damaged.tasks.set(key, doc);
    this.#keep(key, task);
  }

  #keep(key: string, task: TaskDoc | undefined): void {
    if (!this.#tasks.has(key)) this.#tasks.set(key, task);
    this.#there.add(key);
  }

  /** What the transaction has to write. */
  writes(): readonly (readonly [CollectionName, Write[]])[] {
    return writesOf(this.changes, new Date(this.at), {
      specs: (number) => this.#specs.get(number) !== undefined || this.damaged.specs.has(number),
      tasks: (key) => this.#there.has(key),
      keys: (key) => this.#keys.get(key) !== undefined,
      attempts: (id) => this.#attempts.get(id) !== undefined,
      chunks: (key) => this.#chunks.get(key) !== undefined,
    });
  }
}
