import type { ListHostsResponse, SyncHostsRequest } from "@berth/contracts/store";
import { Host } from "@berth/contracts/types";
import type { Database } from "@berth/database";
import { ClockSteps } from "../../domain/clock-steps.ts";
import { maySpeakFor } from "../../domain/host-name.ts";
import { hostChange } from "../../decisions/record/feed-row.ts";
import { feedForm, readHost, saidOf } from "../form/host-form.ts";
import type { KnownHost } from "../form/host-form.ts";
import type { SqliteRecords } from "./records.ts";
import { isOutOfRange } from "./task-rows.ts";

/** How often the times at which hosts were seen are written to disk; nothing waits for them. */
const keepSeenMs = 10_000;

/** The hosts, with a copy in memory: an agent says every ten seconds what nearly never changes, and each placement asks for the journal. */
export class HostTable {
  readonly #db: Database;
  readonly #known = new Map<string, KnownHost>();
  /** When hosts were heard of since then. */
  readonly #heardAt = new Map<string, number>();
  /** The agent that speaks for each host name. */
  readonly #agents = new Map<string, string>();
  /** When another agent of that host name was refused last. */
  readonly #duplicateAt = new Map<string, number>();
  readonly #steadyMs: () => number;
  readonly #steps = new ClockSteps();
  #listeningSince: number;
  #seenKeptAt: number;

  /** `steadyMs`: a clock that cannot be set. */
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
   * For how long nobody has heard of it. Nobody can have while the store was down: its own start counts as having heard of all, and so does a moment at which
   * the database's clock was set.
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

  /** Notes who was seen, and answers the positions of agents that may not speak for their host, and what of the request has to be written; undefined: nothing. */
  see(
    request: SyncHostsRequest,
    now: number,
  ): {
    readonly refused: number[];
    readonly news: { readonly changed: readonly Host[]; readonly silent: readonly string[] } | undefined;
  } {
    const changed: Host[] = [];
    const refused: number[] = [];
    this.#lookAtClock(now);
    request.hosts.forEach((host, at) => {
      const agentId = host.agentId ?? "";
      if (!maySpeakFor(this.#agents.get(host.id), agentId, this.silentMs(host.id, now))) {
        refused.push(at);
        this.#duplicateAt.set(host.id, now);
        return;
      }
      this.#agents.set(host.id, agentId);
      const known = this.#known.get(host.id);
      if (known) known.seenAt = now;
      this.#heardAt.set(host.id, now);
      if (!known || known.silent || !known.said.equals(saidOf(host))) changed.push(host);
    });
    const silent = request.silentHostIds.filter((id) => {
      const known = this.#known.get(id);
      return known && !known.silent && this.silentMs(id, now) >= request.silentAfterMs;
    });
    if (changed.length === 0 && silent.length === 0 && now - this.#seenKeptAt < keepSeenMs)
      return { refused, news: undefined };
    return { refused, news: { changed, silent } };
  }

  /** In a transaction. The host counts as lost until it is heard of again. */
  declareLost(records: SqliteRecords, id: string, by: string): void {
    const known = this.#known.get(id);
    if (!known) return;
    this.#put(records, new Map([[id, { ...known, silent: true, lostBy: by, revision: records.nextRevision() }]]));
  }

  /** In a transaction. */
  write(records: SqliteRecords, changed: readonly Host[], silent: readonly string[]): void {
    const news = new Map<string, KnownHost>();
    for (const host of changed) {
      news.set(host.id, {
        said: saidOf(host),
        journalId: host.journalId,
        silent: false,
        lostBy: "",
        seenAt: records.at,
        revision: records.nextRevision(),
      });
    }
    for (const id of silent) {
      const known = news.get(id) ?? this.#known.get(id);
      if (known && !news.has(id)) news.set(id, { ...known, silent: true, revision: records.nextRevision() });
    }
    this.#put(records, news);
    if (records.at - this.#seenKeptAt >= keepSeenMs) {
      for (const [id, host] of this.#known)
        this.#db.sql("UPDATE hosts SET seen_at = ? WHERE id = ?").run(host.seenAt, id);
      this.#seenKeptAt = records.at;
    }
  }

  #put(records: SqliteRecords, news: ReadonlyMap<string, KnownHost>): void {
    for (const [id, host] of news) {
      this.#db
        .sql(
          `INSERT INTO hosts (id, said, silent, lost_by, seen_at, revision) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
           said = excluded.said, silent = excluded.silent, lost_by = excluded.lost_by, seen_at = excluded.seen_at, revision = excluded.revision`,
        )
        .run(id, host.said, host.silent ? 1 : 0, host.lostBy, host.seenAt, host.revision);
      records.announceEncoded(host.revision, null, hostChange(host.revision, Host.encode(feedForm(host)).finish()));
    }
    records.afterCommit(() => {
      for (const [id, host] of news) this.#known.set(id, host);
    });
  }

  /** Encoded `Change`s of all hosts. */
  changes(): Buffer[] {
    return [...this.#known.values()].map((host) => hostChange(host.revision, Host.encode(feedForm(host)).finish()));
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
        const host = feedForm(known);
        const load = loads.get(id);
        const duplicateAt = this.#duplicateAt.get(id);
        return {
          ...host,
          duplicateTime: duplicateAt === undefined ? undefined : new Date(duplicateAt),
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

/** A host's row; undefined where a number in it is larger than a program can count with. */
function readRow(db: Database, id: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return db.sql("SELECT id, said, silent, lost_by, seen_at, revision FROM hosts WHERE id = ?").get(id);
  } catch (error) {
    if (isOutOfRange(error)) return undefined;
    throw error;
  }
}
