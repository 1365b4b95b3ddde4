import type { Host } from "@berth/contracts/types";
import type { ListHostsResponse, SyncHostsRequest } from "@berth/contracts/store";
import { changedHosts, isNameTaken, notYetSilent, recordsAfter, refusedAgents } from "../../decisions/host-news.ts";
import type { HostNews } from "../../decisions/host-news.ts";
import { hostRow, listedHost } from "../../decisions/record/host-record.ts";
import type { HostRecord } from "../../decisions/record/host-record.ts";
import type { MongoRecords } from "./records.ts";
import type { MongoCalls, Query, Session } from "./calls.ts";
import { agentOf, isReadable, recordOf } from "./host-doc.ts";
import type { HostDoc } from "./collections.ts";
import type { DatabaseClock } from "./database-clock.ts";
import { bytes } from "./spec-doc.ts";

/** How often what this copy heard of hosts is told to the others. */
const keepSeenMs = 2_000;

/** The hosts, with a copy in memory that is right as long as the writer document names its revision; and when they were heard of, by any copy. */
export class Hosts {
  readonly #calls: MongoCalls;
  readonly #clock: DatabaseClock;
  readonly #seen = new Map<string, number>();
  readonly #untold = new Set<string>();
  #known: ReadonlyMap<string, HostDoc> = new Map();
  #revision = -1;
  #listeningSince: number;
  #toldAt = Number.NEGATIVE_INFINITY;
  #telling: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(calls: MongoCalls, clock: DatabaseClock) {
    this.#calls = calls;
    this.#clock = clock;
    this.#listeningSince = clock.now();
  }

  /** As they are at a revision of theirs. */
  async at(revision: number, session?: Session): Promise<ReadonlyMap<string, HostDoc>> {
    if (revision === this.#revision) return this.#known;
    const docs = (await this.#calls.find("hosts", {}, { sort: { _id: 1 } }, session)) as unknown as HostDoc[];
    const known = docs.map((doc) => ({ ...doc, said: bytes(doc.said) })).filter(isReadable);
    this.#known = new Map(known.map((doc) => [doc._id, doc]));
    // Outside a transaction they may be newer than that; then they are read once more, next time.
    this.#revision = session ? revision : Math.max(0, ...known.map((doc) => doc.revision));
    return this.#known;
  }

  /** As they were last seen to be, for what does not ask for more. */
  get known(): ReadonlyMap<string, HostDoc> {
    return this.#known;
  }

  /** After the commit. */
  changed(hosts: ReadonlyMap<string, HostDoc>): void {
    if (hosts.size === 0) return;
    this.#known = new Map([...this.#known, ...hosts].sort(([a], [b]) => (a < b ? -1 : 1)));
    this.#revision = Math.max(...[...hosts.values()].map((host) => host.revision));
  }

  /** The database was away, and nobody can have told it of a host meanwhile; or its clock was set, and when it was told is not known any more. */
  interrupted(): void {
    this.#listeningSince = this.#clock.now();
  }

  /** Stores news of hosts, and answers the positions of agents that may not speak for theirs. */
  async sync(
    request: SyncHostsRequest,
    revision: number,
    inTransaction: (fn: (records: MongoRecords) => ReadonlySet<string>) => Promise<ReadonlySet<string>>,
  ): Promise<number[]> {
    const known = await this.at(revision);
    const recordNow = (id: string) => recordOf(known.get(id));
    const refused = await this.#refused(request.hosts, known);
    const accepted = request.hosts.filter((_, at) => !refused.has(at));
    this.#see(accepted);
    const changed = changedHosts(accepted, recordNow);
    const silent = await this.#silent(request, notYetSilent(request.silentHostIds, recordNow));
    const taken =
      changed.length > 0 || silent.length > 0
        ? await inTransaction((records) => write(records, { changed, silent }, known))
        : new Set();
    return request.hosts.flatMap(({ id }, at) => (refused.has(at) || taken.has(id) ? at : []));
  }

  /** Positions of agents that may not speak for their host; only where that depends on when it was heard, by any copy, the database is asked. */
  async #refused(hosts: readonly Host[], known: ReadonlyMap<string, HostDoc>): Promise<ReadonlySet<number>> {
    const holderOf = (id: string) => agentOf(known.get(id));
    const byName = refusedAgents(hosts, holderOf, () => 0);
    if (byName.size === 0) return byName;
    const silentMs = await this.silentMs([...byName].map((at) => hosts[at]!.id));
    const refused = refusedAgents(hosts, holderOf, (id) => silentMs.get(id) ?? 0);
    if (refused.size > 0) this.#noteDuplicates([...refused].map((at) => hosts[at]!.id));
    return refused;
  }

  /** For people who list hosts; nothing waits for it. */
  #noteDuplicates(ids: readonly string[]): void {
    const writes = ids.map((id) => ({
      updateOne: {
        filter: { _id: id as never },
        update: { $max: { duplicate_at: this.#clock.now() } },
        upsert: true,
      },
    }));
    void this.#calls.bulkWrite("host_seen", writes).catch(() => {});
  }

  /** Notes who was seen. */
  #see(hosts: readonly Host[]): void {
    const now = this.#clock.now();
    for (const { id } of hosts) {
      this.#seen.set(id, now);
      this.#untold.add(id);
    }
    const wait = keepSeenMs - (performance.now() - this.#toldAt);
    if (wait <= 0) this.#tell();
    else this.#timer ??= setTimeout(() => this.#tell(), wait).unref();
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#toldAt = performance.now();
    const ids = [...this.#untold];
    this.#untold.clear();
    const writes = ids.map((id) => ({
      updateOne: { filter: { _id: id as never }, update: { $max: { at: this.#seen.get(id) } }, upsert: true },
    }));
    const told = this.#calls.bulkWrite("host_seen", writes).catch(() => {
      for (const id of ids) this.#untold.add(id); // next time
    });
    this.#telling = Promise.all([this.#telling, told]).then(() => {});
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#untold.size > 0) this.#tell();
    await this.#telling;
  }

  /**
   * For how long nobody has heard of hosts. Nobody can have while the database or this store was down: that counts as having heard of all, and so does a moment
   * at which the database's clock was set. All by one look at the clock, after the answer: what is asked for later may be by a clock that was set meanwhile.
   */
  async silentMs(ids: readonly string[]): Promise<Map<string, number>> {
    const seen = await this.#seenAt({ _id: { $in: ids } });
    const now = this.#clock.now();
    return new Map(ids.map((id) => [id, now - Math.max(seen(id), this.#listeningSince)]));
  }

  /** When any copy saw a host; 0: none did. */
  async #seenAt(filter: Query): Promise<(id: string) => number> {
    return this.#seenBy(await this.#calls.find("host_seen", filter));
  }

  #seenBy(docs: readonly Record<string, unknown>[]): (id: string) => number {
    const told = new Map(docs.map((doc) => [String(doc["_id"]), Number(doc["at"] ?? 0)]));
    return (id) => Math.max(told.get(id) ?? 0, this.#seen.get(id) ?? 0);
  }

  /** Who has been silent for so long, of those that can become it. */
  async #silent({ silentAfterMs }: SyncHostsRequest, ids: readonly string[]): Promise<readonly string[]> {
    if (ids.length === 0) return [];
    const silentMs = await this.silentMs(ids);
    return ids.filter((id) => silentMs.get(id)! >= silentAfterMs);
  }

  /** Encoded `Change`s of all hosts. */
  changes(hosts: ReadonlyMap<string, HostDoc>): Buffer[] {
    return [...hosts.values()].map((host) => hostRow(host.revision, recordOf(host)));
  }

  /** With what is used there now. */
  async list(hosts: ReadonlyMap<string, HostDoc>): Promise<ListHostsResponse> {
    const [docs, sums] = await Promise.all([
      this.#calls.find("host_seen", {}),
      this.#calls.find("sums", { kind: "load" }),
    ]);
    const seen = this.#seenBy(docs);
    const duplicateAt = new Map(
      docs.flatMap((doc): [string, number][] =>
        doc["duplicate_at"] ? [[String(doc["_id"]), Number(doc["duplicate_at"])]] : [],
      ),
    );
    const loads = new Map(sums.map((sum) => [String(sum["host"]), sum]));
    return {
      hosts: [...hosts].map(([id, known]) => {
        const load = loads.get(id);
        const used = {
          live: Number(load?.["live"] ?? 0),
          cpuMilli: Number(load?.["cpu_milli"] ?? 0),
          memoryBytes: Number(load?.["memory_bytes"] ?? 0),
        };
        const record = { ...recordOf(known), seenAt: Math.max(known.seen_at, seen(id)) };
        return listedHost(record, used, duplicateAt.get(id));
      }),
    };
  }
}

/**
 * In the transaction. Answers the hosts of which another agent took the name since they were judged by `known`: these are not written. Only another copy of the
 * store can have given it away.
 */
function write(
  records: MongoRecords,
  { changed, silent }: HostNews,
  known: ReadonlyMap<string, HostDoc>,
): ReadonlySet<string> {
  const isTaken = ({ id, agentId = "" }: Host) =>
    isNameTaken(agentOf(records.host(id)), agentOf(known.get(id)), agentId);
  const taken = new Set(changed.filter(isTaken).map(({ id }) => id));
  const news = { changed: changed.filter(({ id }) => !taken.has(id)), silent };
  const after = recordsAfter(news, (id) => recordOf(records.host(id)), records.at);
  for (const [id, record] of after) putHost(records, id, record);
  return taken;
}

/** In a transaction: stores a host and announces it. */
export function putHost(
  records: Pick<MongoRecords, "changes" | "row" | "nextRevision">,
  id: string,
  record: HostRecord,
): void {
  const { said, silent, lostBy, seenAt } = record;
  const revision = records.nextRevision();
  records.changes.hosts.set(id, { _id: id, said, silent, lost_by: lostBy, seen_at: seenAt, revision });
  records.row(revision, null, hostRow(revision, record));
}
