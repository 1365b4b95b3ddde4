import { Host } from "@berth/contracts/types";
import type { ListHostsResponse, SyncHostsRequest } from "@berth/contracts/store";
import { maySpeakFor } from "../../domain/host-name.ts";
import { hostChange } from "../../decisions/record/feed-row.ts";
import { feedForm, saidOf } from "../form/host-form.ts";
import type { MongoRecords } from "./records.ts";
import type { MongoCalls, Query, Session } from "./calls.ts";
import { hostOf, isReadable } from "./host-doc.ts";
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

  #agentOf(host: HostDoc | undefined): string | undefined {
    return host && (hostOf(host)?.agentId ?? "");
  }

  /** Stores news of hosts, and answers the positions of agents that may not speak for theirs. */
  async sync(
    request: SyncHostsRequest,
    revision: number,
    inTransaction: (fn: (records: MongoRecords) => readonly Host[]) => Promise<readonly Host[]>,
  ): Promise<number[]> {
    const known = await this.at(revision);
    const refused = await this.#refused(request.hosts, known);
    const accepted = request.hosts.filter((_, at) => !refused.has(at));
    this.#see(accepted);
    const changed = this.#news(accepted, known);
    const silent = await this.#silent(request, known);
    const late =
      changed.length > 0 || silent.length > 0
        ? await inTransaction((records) => this.#write(records, changed, silent, known))
        : [];
    return request.hosts.flatMap((host, at) => (refused.has(at) || late.includes(host) ? at : []));
  }

  /** Positions of agents that may not speak for their host, because another was heard lately, by any copy. */
  async #refused(hosts: readonly Host[], known: ReadonlyMap<string, HostDoc>): Promise<ReadonlySet<number>> {
    const others = hosts.filter(({ id, agentId }) => !maySpeakFor(this.#agentOf(known.get(id)), agentId ?? "", 0));
    const silentMs = others.length === 0 ? undefined : await this.silentMs(others.map(({ id }) => id));
    const agents = new Map<string, string | undefined>();
    const refused = new Set<number>();
    hosts.forEach(({ id, agentId = "" }, at) => {
      const holder = agents.get(id) ?? this.#agentOf(known.get(id));
      const may = maySpeakFor(holder, agentId, agents.has(id) ? 0 : (silentMs?.get(id) ?? 0));
      if (may) agents.set(id, agentId);
      else refused.add(at);
    });
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

  /** What of an agent's words has to be written. */
  #news(hosts: readonly Host[], known: ReadonlyMap<string, HostDoc>): readonly Host[] {
    return hosts.filter((host) => {
      const before = known.get(host.id);
      return !before || before.silent || !saidOf(host).equals(before.said);
    });
  }

  /** Who has been silent for so long, of those that are said to be. */
  async #silent(request: SyncHostsRequest, known: ReadonlyMap<string, HostDoc>): Promise<readonly string[]> {
    const asked = request.silentHostIds.filter((id) => known.get(id)?.silent === false);
    if (asked.length === 0) return [];
    const silentMs = await this.silentMs(asked);
    return asked.filter((id) => silentMs.get(id)! >= request.silentAfterMs);
  }

  /** In the transaction. Answers the hosts of which another agent took the name since they were judged by `known`: these are not written. */
  #write(
    records: MongoRecords,
    changed: readonly Host[],
    silent: readonly string[],
    known: ReadonlyMap<string, HostDoc>,
  ): readonly Host[] {
    const late: Host[] = [];
    for (const host of changed) {
      const holder = this.#agentOf(records.host(host.id));
      if (holder !== this.#agentOf(known.get(host.id)) && !maySpeakFor(holder, host.agentId ?? "", 0)) {
        late.push(host);
        continue;
      }
      const base = { _id: host.id, said: saidOf(host), silent: false, lost_by: "", seen_at: records.at };
      putHost(records, { ...base, revision: records.nextRevision() });
    }
    for (const id of silent) {
      const host = records.host(id);
      if (host && !host.silent && !records.changes.hosts.has(id))
        putHost(records, { ...host, silent: true, revision: records.nextRevision() });
    }
    return late;
  }

  /** Encoded `Change`s of all hosts. */
  changes(hosts: ReadonlyMap<string, HostDoc>): Buffer[] {
    return [...hosts.values()].map((host) => changeOf(host));
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
        const host = feedForm(knownForm(known, Math.max(known.seen_at, seen(id))));
        const load = loads.get(id);
        const duplicate = duplicateAt.get(id);
        return {
          ...host,
          duplicateTime: duplicate === undefined ? undefined : new Date(duplicate),
          used: {
            cpuMilli: Number(load?.["cpu_milli"] ?? 0) + (host.used?.cpuMilli ?? 0),
            memoryBytes: Number(load?.["memory_bytes"] ?? 0) + (host.used?.memoryBytes ?? 0),
          },
          liveTasks: Number(load?.["live"] ?? 0),
        };
      }),
    };
  }
}

/** In a transaction: stores a host and announces it. */
export function putHost(records: Pick<MongoRecords, "changes" | "row">, host: HostDoc): void {
  records.changes.hosts.set(host._id, host);
  records.row(host.revision, null, changeOf(host));
}

const changeOf = (host: HostDoc): Buffer =>
  hostChange(host.revision, Host.encode(feedForm(knownForm(host, host.seen_at))).finish());

const knownForm = (host: HostDoc, seenAt: number) => ({
  said: bytes(host.said),
  journalId: "",
  silent: host.silent,
  lostBy: host.lost_by,
  seenAt,
  revision: host.revision,
});
