import type { AttemptDoc, ChunkDoc, HostDoc, KeyDoc, LeaseDoc, TaskDoc } from "./collections.ts";
import type { SpecDoc } from "./spec-doc.ts";
import { RunningSums } from "../../decisions/record/running-sums.ts";

export interface FeedRow {
  readonly revision: number;
  readonly user: string | null;
  readonly row: Buffer;
}

/** What changed in one decision, or in all of a transaction. */
export class Changes {
  readonly specs = new Map<number, SpecDoc | undefined>();
  readonly tasks = new Map<string, TaskDoc | undefined>();
  readonly keys = new Map<string, KeyDoc | undefined>();
  readonly attempts = new Map<string, AttemptDoc | undefined>();
  readonly chunks = new Map<string, ChunkDoc>();
  readonly remains = new Set<number>();
  readonly hosts = new Map<string, HostDoc>();
  readonly leases = new Map<string, LeaseDoc>();
  readonly sums = new RunningSums();
  readonly rows: FeedRow[] = [];

  merge(other: Changes): void {
    for (const [key, spec] of other.specs) this.specs.set(key, spec);
    for (const [key, task] of other.tasks) this.tasks.set(key, task);
    for (const [key, doc] of other.keys) this.keys.set(key, doc);
    for (const [key, attempt] of other.attempts) this.attempts.set(key, attempt);
    for (const [key, chunk] of other.chunks) this.chunks.set(key, chunk);
    for (const number of other.remains) this.remains.add(number);
    for (const [id, host] of other.hosts) this.hosts.set(id, host);
    for (const [name, lease] of other.leases) this.leases.set(name, lease);
    this.sums.merge(other.sums);
    this.rows.push(...other.rows);
  }
}
