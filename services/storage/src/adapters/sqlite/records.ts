import type { Database } from "@berth/database";
import { closeArray } from "../../decisions/close-array.ts";
import { overCode, pendingCode, placedCode, stateCode, stateIn, suspendedCode } from "../../decisions/record/codes.ts";
import { freshRow } from "../../decisions/record/columns.ts";
import type { SpecColumns, TaskColumns } from "../../decisions/record/columns.ts";
import { checkCodes } from "../../decisions/record/damage.ts";
import type { Salvaged } from "../../decisions/record/damage.ts";
import { taskChange } from "../../decisions/record/feed-row.ts";
import type { ArrayRecord } from "../../domain/array-record.ts";
import type {
  AttemptRecord,
  ClientKey,
  LeaseRecord,
  NewRecord,
  OpenArray,
  Records,
  TaskKey,
} from "../../ports/records.ts";
import { readAttempt, readAttemptsBefore, writeAttempt } from "./attempt-rows.ts";
import { readFolded } from "./folded-elements.ts";
import type { HostTable } from "./host-table.ts";
import { insertTask } from "./insert-task.ts";
import { readLease, schedulerTerm, writeLease } from "./leases.ts";
import { isSettled, markArchived, removeRecords } from "./retention.ts";
import type { WaitedFor } from "./retention.ts";
import { insertRow, rowColumns, toRow, updateRow } from "./rows.ts";
import { RunningSums } from "../../decisions/record/running-sums.ts";
import { writeSums } from "./write-sums.ts";
import { livingElements, replaceRecord, salvaged } from "./salvage.ts";
import { openArray } from "./open-array.ts";
import { encodedSpec, readableTasks, reading, readSpec } from "./task-rows.ts";

/** The last revision and task number assigned. Only the writer changes them. A failed transaction leaves harmless gaps. */
export interface Counters {
  revision: number;
  number: number;
}

/** State that the store keeps in memory. */
export interface Memory {
  readonly counters: Counters;
  readonly hosts: Pick<HostTable, "journalOf" | "declareLost">;
  readonly waitedFor: Pick<WaitedFor, "note" | "has">;
}

const archivedCode = stateCode("archived");
const isLiveRow = `state < ${overCode} AND state BETWEEN ${placedCode} AND ${suspendedCode}`;
const liveOn = `FROM tasks INDEXED BY tasks_live WHERE ${isLiveRow} AND host = ? ORDER BY number, idx`;
/** Live records on a host that have a lease. */
export const leasedOn = `FROM tasks INDEXED BY tasks_leased WHERE lease_ms <> 0 AND ${stateIn(["placed", "running", "suspended"])} AND host = ? ORDER BY number, idx`;
const waitingOf = `FROM tasks INDEXED BY tasks_live WHERE number = ? AND idx >= 0 AND state < ${overCode} AND state = ${pendingCode}`;

/**
 * One write of the store, inside its savepoint. A decision reads from the database, and its changes are written at once, so later reads see them. Rows that change often
 * (arrays, sums) are written at the end.
 */
export class SqliteRecords implements Records {
  readonly at: number;
  readonly sums = new RunningSums();
  readonly #db: Database;
  readonly #memory: Memory;
  readonly #specs = new Map<number, SpecColumns | undefined>();
  readonly #arrays = new Map<number, OpenArray | undefined>();
  /** Records as stored. A write updates only the columns that differ. */
  readonly #rows = new Map<number | string, TaskColumns>();
  #afterCommit: (() => void)[] | undefined;

  constructor(db: Database, memory: Memory, at: number) {
    this.#db = db;
    this.#memory = memory;
    this.at = at;
  }

  /** Reads never miss on SQLite. */
  foresee(): void {}

  nextRevision(): number {
    return (this.#memory.counters.revision += 1);
  }

  spec(number: number): SpecColumns | undefined {
    if (this.#specs.has(number)) return this.#specs.get(number);
    const spec = readSpec(this.#db, number);
    this.#specs.set(number, spec);
    return spec;
  }

  encodedSpec(number: number): Uint8Array {
    return encodedSpec(this.#db, number);
  }

  task(number: number, idx: number): TaskColumns | undefined {
    const key = keyOf(number, idx);
    const known = this.#rows.get(key);
    if (known) return known;
    const row = readRow(this.#db, number, idx);
    if (!row) return idx < 0 ? undefined : readFolded(this.#db, number, idx);
    this.#rows.set(key, row);
    return row;
  }

  array(number: number): OpenArray | undefined {
    if (this.#arrays.has(number)) return this.#arrays.get(number);
    const array = openArray(this.#db, number, () => this.task(number, -1));
    this.#arrays.set(number, array);
    return array;
  }

  /** All folded elements lie before the cursor. */
  hasRecord({ number }: { readonly number: number }, idx: number): boolean {
    return this.#db.sql("SELECT 1 FROM tasks WHERE number = ? AND idx = ?").get(number, idx) !== undefined;
  }

  waitingElements(number: number): TaskColumns[] {
    return this.#known(readableTasks(this.#db, waitingOf, number));
  }

  liveOn(hostId: string): TaskColumns[] {
    return this.#known(readableTasks(this.#db, liveOn, hostId));
  }

  leasedOn(hostId: string): TaskColumns[] {
    return this.#known(readableTasks(this.#db, leasedOn, hostId));
  }

  #known(rows: TaskColumns[]): TaskColumns[] {
    for (const row of rows) this.#rows.set(keyOf(row.number, row.idx), row);
    return rows;
  }

  attempt(of: TaskKey, attempt: number): AttemptRecord | undefined {
    return readAttempt(this.#db, of, attempt);
  }

  attemptsBefore(of: TaskKey, attempt: number): AttemptRecord[] {
    return readAttemptsBefore(this.#db, of, attempt);
  }

  putAttempt(of: TaskKey, kept: AttemptRecord): void {
    writeAttempt(this.#db, of, kept);
  }

  journalOf(hostId: string): string | undefined {
    return this.#memory.hosts.journalOf(hostId);
  }

  declareLost(hostId: string, by: string): void {
    this.#memory.hosts.declareLost(this, hostId, by);
  }

  schedulerTerm(): number {
    return schedulerTerm(this.#db);
  }

  lease(name: string): LeaseRecord | undefined {
    return readLease(this.#db, name);
  }

  putLease(lease: LeaseRecord): void {
    writeLease(this.#db, lease);
  }

  clientKey(user: string, key: string): ClientKey | undefined {
    return this.#db
      .sql("SELECT number, spec_hash FROM client_keys WHERE user = ? AND key = ?")
      .get(user, key) as unknown as ClientKey | undefined;
  }

  nextNumber(): number {
    return (this.#memory.counters.number += 1);
  }

  add(spec: SpecColumns, task: NewRecord): void {
    const revision = this.nextRevision();
    insertTask(this.#db, revision, spec, task);
    for (const parent of task.parents) this.#memory.waitedFor.note(parent);
    const row = freshRow(spec.number, -1, pendingCode);
    this.announceEncoded(revision, spec.user, taskChange(revision, row, spec, task.array));
  }

  announce(row: TaskColumns, spec: SpecColumns, array?: ArrayRecord): TaskColumns {
    const revision = this.nextRevision();
    const key = keyOf(row.number, row.idx);
    const stored = { ...row, revision };
    const before = this.#rows.get(key);
    if (before) updateRow(this.#db, before, stored);
    else insertRow(this.#db, stored);
    this.#rows.set(key, stored);
    this.#tell(stored, spec, array);
    return stored;
  }

  #tell(row: TaskColumns, spec: SpecColumns, array: ArrayRecord | undefined): void {
    this.announceEncoded(row.revision, spec.user, taskChange(row.revision, row, spec, array));
    if (row.state === archivedCode && row.idx < 0) markArchived(this.#db, row.number);
    // Uses the database's clock, because the host's may be wrong by years.
    if (row.state === overCode && row.idx < 0)
      this.#db.sql("INSERT OR IGNORE INTO expiry (number, phase, over_at) VALUES (?, 0, ?)").run(row.number, this.at);
  }

  announceEncoded(revision: number, user: string | null, change: Uint8Array): void {
    this.#db
      .sql("INSERT INTO changes (revision, at, user, row) VALUES (?, ?, ?, ?)")
      .run(revision, this.at, user, change);
  }

  isSettled(number: number): boolean {
    return isSettled(this.#db, number);
  }

  isWaitedFor(number: number): boolean {
    return this.#memory.waitedFor.has(number, this.at);
  }

  remove(spec: SpecColumns): void {
    removeRecords(this.#db, spec);
    this.#specs.delete(spec.number);
    this.#arrays.delete(spec.number);
    this.#rows.delete(spec.number);
  }

  salvaged(number: number, idx: number): Salvaged | undefined {
    return salvaged(this.#db, number, idx);
  }

  livingElements(number: number): number[] {
    return livingElements(this.#db, number);
  }

  replace(row: TaskColumns, spec: SpecColumns, array: ArrayRecord | undefined): void {
    const stored = { ...row, revision: this.nextRevision() };
    replaceRecord(this.#db, stored, spec, array);
    this.#specs.delete(row.number);
    this.#arrays.delete(row.number);
    this.#rows.set(keyOf(row.number, row.idx), stored);
    this.#tell(stored, spec, array);
  }

  /** Changes the state in memory. Call it only after the commit. */
  afterCommit(change: () => void): void {
    (this.#afterCommit ??= []).push(change);
  }

  committed(): void {
    for (const change of this.#afterCommit ?? []) change();
  }

  /** Writes the gathered changes. Call it last in the transaction. */
  flush(): void {
    for (const array of this.#arrays.values()) if (array?.dirty) this.#writeArray(array);
    writeSums(this.#db, this.sums);
  }

  #writeArray(array: OpenArray): void {
    this.#db
      .sql(
        "UPDATE arrays SET max_live = ?, cursor = ?, early = ?, live = ?, waiting = ?, ended = ?, cpu_ms = ?, wall_ms = ? WHERE number = ?",
      )
      .run(
        array.maxLive,
        array.cursor,
        array.early,
        array.live,
        array.waiting,
        JSON.stringify(Object.fromEntries(array.ended)),
        array.cpuMs,
        array.wallMs,
        array.number,
      );
    const whole = this.task(array.number, -1)!;
    this.announce(closeArray(array, whole, this.at), this.spec(array.number)!, array);
  }
}

const keyOf = (number: number, idx: number): number | string => (idx < 0 ? number : `${number}.${idx}`);

const rowQuery = `SELECT ${rowColumns} FROM tasks WHERE number = ? AND idx = ?`;

function readRow(db: Database, number: number, idx: number): TaskColumns | undefined {
  const query = db.sql(rowQuery);
  query.setReturnArrays(true);
  const found = reading(number, idx, () => query.get(number, idx)) as unknown as unknown[] | undefined;
  if (!found) return undefined;
  const row = toRow(found);
  checkCodes(row);
  return row;
}
