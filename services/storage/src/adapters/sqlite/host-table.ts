import type { ListHostsResponse, SyncHostsRequest } from "@berth/contracts/store";
import type { Database } from "@berth/database";
import { ClockSteps } from "../../domain/clock-steps.ts";
import { changedHosts, declaredLost, notYetSilent, recordsAfter, refusedAgents } from "../../decisions/host-news.ts";
import type { HostNews } from "../../decisions/host-news.ts";
import { hostRow, listedHost, readHost } from "../../decisions/record/host-record.ts";
import type { HostRecord } from "../../decisions/record/host-record.ts";
import type { SqliteRecords } from "./records.ts";
import { isOutOfRange } from "./task-rows.ts";

/** Interval at which the times of last contact are written to disk. Nothing waits for them. */
const keepSeenMs = 10_000;

interface KnownHost extends HostRecord {
  readonly journalId: string;
  readonly revision: number;
}

/** The hosts, cached in memory, because each agent repeats the same status every ten seconds and each placement reads the journal id. */
export class HostTable {
  readonly #db: Database;
  readonly #known = new Map<string, KnownHost>();
  /** Time of the last contact with each host since then. */
  readonly #heardAt = new Map<string, number>();
  /** The agent that has each host name. */
  readonly #agents = new Map<string, string>();
  /** When another agent with that host name was last refused. */
  readonly #duplicateAt = new Map<string, number>();
  readonly #steadyMs: () => number;
  readonly #steps = new ClockSteps();
  #listeningSince: number;
  #seenKeptAt: number;

  /** `steadyMs`: milliseconds of a monotonic clock. */
  constructor(db: Database, now: number, steadyMs: () => number) {
    this.#db = db;
    this.#steadyMs = steadyMs;
    this.#listeningSince = now;
    this.#seenKeptAt = now;
    this.#steps.wasSet(now, steadyMs());
    for (const { id } of db.sql("SELECT id FROM hosts").all()) {
      const row = readRow(db, String(id));
      const said = Buffer.from((row?.["said"] as Uint8Array | undefined) ?? []);
      const host = row && readHost(said);
      if (!host) continue; // damaged: its agent says it again within seconds
      const { journalId, agentId } = host;
      this.#agents.set(String(row["id"]), agentId ?? "");
      this.#known.set(String(row["id"]), {
        said,
        journalId,
        silent: row["silent"] === 1,
        lostBy: String(row["lost_by"]),
        seenAt: Number(row["seen_at"]),
        revision: Number(row["revision"]),
      });
    }
  }

  journalOf(id: string): string | undefined {
    return this.#known.get(id)?.journalId;
  }

  /**
   * For how long the host was not heard. The store's own start counts as contact with all hosts, because none could be heard before, and so does a jump of the database's clock.
   */
  silentMs(id: string, now: number): number {
    this.#lookAtClock(now);
    return now - (this.#heardAt.get(id) ?? this.#listeningSince);
  }

  #lookAtClock(now: number): void {
    if (!this.#steps.wasSet(now, this.#steadyMs())) return;
    this.#listeningSince = now;
    this.#heardAt.clear();
  }

  /**
   * Notes who was seen. Returns the positions of agents that may not speak for their host, and what must be written, undefined if nothing. An agent gets the name here,
   * before that is written, because this is the only process that assigns names.
   */
  see(
    request: SyncHostsRequest,
    now: number,
  ): { readonly refused: readonly number[]; readonly news: HostNews | undefined } {
    this.#lookAtClock(now);
    const refused = refusedAgents(
      request.hosts,
      (id) => this.#agents.get(id),
      (id) => this.silentMs(id, now),
    );
    request.hosts.forEach(({ id, agentId }, at) => {
      if (refused.has(at)) return void this.#duplicateAt.set(id, now);
      this.#agents.set(id, agentId ?? "");
      this.#heardAt.set(id, now);
      const known = this.#known.get(id);
      if (known) this.#known.set(id, { ...known, seenAt: now });
    });
    const news = {
      changed: changedHosts(
        request.hosts.filter((_, at) => !refused.has(at)),
        this.#recordOf,
      ),
      silent: notYetSilent(request.silentHostIds, this.#recordOf).filter(
        (id) => this.silentMs(id, now) >= request.silentAfterMs,
      ),
    };
    const isNothingDue = news.changed.length === 0 && news.silent.length === 0 && now - this.#seenKeptAt < keepSeenMs;
    return { refused: [...refused], news: isNothingDue ? undefined : news };
  }

  /** In a transaction. */
  declareLost(records: SqliteRecords, id: string, by: string): void {
    const known = this.#known.get(id);
    if (known) this.#put(records, new Map([[id, declaredLost(known, by)]]));
  }

  /** In a transaction. */
  write(records: SqliteRecords, news: HostNews): void {
    this.#put(records, recordsAfter(news, this.#recordOf, records.at));
    if (records.at - this.#seenKeptAt >= keepSeenMs) {
      for (const [id, host] of this.#known)
        this.#db.sql("UPDATE hosts SET seen_at = ? WHERE id = ?").run(host.seenAt, id);
      this.#seenKeptAt = records.at;
    }
  }

  readonly #recordOf = (id: string): HostRecord | undefined => this.#known.get(id);

  #put(records: SqliteRecords, hosts: ReadonlyMap<string, HostRecord>): void {
    const written = new Map<string, KnownHost>();
    for (const [id, { said, silent, lostBy, seenAt }] of hosts) {
      const revision = records.nextRevision();
      this.#db
        .sql(
          `INSERT INTO hosts (id, said, silent, lost_by, seen_at, revision) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
           said = excluded.said, silent = excluded.silent, lost_by = excluded.lost_by, seen_at = excluded.seen_at, revision = excluded.revision`,
        )
        .run(id, said, silent ? 1 : 0, lostBy, seenAt, revision);
      const record = { said, silent, lostBy, seenAt };
      records.announceEncoded(revision, null, hostRow(revision, record));
      written.set(id, { ...record, revision, journalId: readHost(said)?.journalId ?? "" });
    }
    records.afterCommit(() => {
      for (const [id, host] of written) this.#known.set(id, host);
    });
  }

  /** Encoded `Change`s of all hosts. */
  changes(): Buffer[] {
    return [...this.#known.values()].map((host) => hostRow(host.revision, host));
  }

  /** All hosts, with their current usage. */
  list(): ListHostsResponse {
    const loads = new Map(
      this.#db
        .sql("SELECT host, live, cpu_milli, memory_bytes FROM host_load")
        .all()
        .map((row) => [String(row["host"]), row]),
    );
    const hosts = [...this.#known].sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      hosts: hosts.map(([id, known]) => {
        const load = loads.get(id);
        const sums = {
          live: Number(load?.["live"] ?? 0),
          cpuMilli: Number(load?.["cpu_milli"] ?? 0),
          memoryBytes: Number(load?.["memory_bytes"] ?? 0),
        };
        return listedHost(known, sums, this.#duplicateAt.get(id));
      }),
    };
  }
}

/** A host's row; undefined if a number in it is outside the safe range. */
function readRow(db: Database, id: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return db.sql("SELECT id, said, silent, lost_by, seen_at, revision FROM hosts WHERE id = ?").get(id);
  } catch (error) {
    if (isOutOfRange(error)) return undefined;
    throw error;
  }
}
