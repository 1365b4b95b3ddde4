import type { Outcome } from "@berth/core";
import type { ArrayRecord } from "../domain/array-record.ts";
import type { Charge } from "../decisions/record/charge.ts";
import type { SpecColumns, TaskColumns } from "../decisions/record/columns.ts";
import type { Salvaged } from "../decisions/record/damage.ts";
import type { LossColumns } from "../decisions/record/loss-columns.ts";

/** An array while a decision works on it. It is changed in place, and written once, when its decision is over. */
export interface OpenArray extends ArrayRecord {
  readonly number: number;
  /** Running from the first claim on. */
  state: number;
  request: number;
  requestBy: string;
  /** Set where the array as a whole was ended otherwise than by its elements. */
  verdict: { readonly outcome: Outcome; readonly code: string; readonly message: string } | undefined;
  /** Of each of its runs. */
  readonly loss: LossColumns;
  cpuMs: number;
  wallMs: number;
  /** Set by who changes it. */
  dirty: boolean;
}

/** An attempt that was followed by another, or given up. */
export interface AttemptRecord {
  readonly attempt: number;
  readonly host: string;
  /** 0 where nothing ran: its host refused it. */
  readonly outcome: number;
  readonly reason_code: string;
  readonly reason_message: string;
  readonly ended_at: number;
  readonly cpu_ms: number | null;
  readonly peak_memory_bytes: number | null;
  readonly wall_ms: number | null;
}

/** A lease of a service that only one copy may do. */
export interface LeaseRecord {
  readonly name: string;
  readonly holder: string;
  readonly term: number;
  readonly expires_at: number;
}

/** Which task was submitted with a client's key. */
export interface ClientKey {
  readonly number: number;
  readonly spec_hash: Uint8Array;
}

/** What a new task is stored as, beside its spec. */
export interface NewRecord {
  /** Of each of its runs. */
  readonly loss: LossColumns;
  readonly array: ArrayRecord | undefined;
  /** The spec as it was given, encoded. */
  readonly runSpec: Uint8Array;
  readonly clientKey: (ClientKey & { readonly key: string }) | undefined;
  /** Numbers of the tasks that it waits for. */
  readonly parents: readonly number[];
}

export interface TaskKey {
  readonly number: number;
  /** -1 for a task, or an array itself. */
  readonly idx: number;
}

/** What a decision is going to look at: an engine that reads over a network gets it in one question. Others need none of it. */
export interface Foreseen {
  /** A task, with its array where it is an element, and what never changes of it. */
  task(number: number, idx: number): void;
  /** The spec as it was given. */
  runSpec(number: number): void;
  /** What is kept of a task's attempts up to that one. */
  attempts(of: TaskKey, upTo: number): void;
  /** Tasks that have a place on a host. */
  liveOn(hostId: string): void;
  clientKey(user: string, key: string): void;
  /** What goes with a task's record when it is deleted, and whether a pending task waits for it. */
  removal(number: number): void;
}

/** Sums over many tasks, added to the database once a transaction. */
export interface Sums {
  /** `n` tasks of a user went from one state to another; 0 is none. */
  moved(user: string, from: number, to: number, n?: number): void;
  /** A task takes (1) or leaves (-1) its place on a host. */
  loaded(host: string, direction: 1 | -1, needs: Pick<SpecColumns, "cpu_milli" | "memory_bytes">): void;
  charge(charge: Charge): void;
}

/**
 * What a decision may see and do, within one transaction that nobody else's can overlap; synchronous. What a decision throws undoes all that it did.
 * Reads of one record throw `precondition` RECORD_UNREADABLE where it is damaged; reads of many leave it out.
 */
export interface Records {
  /** The database's clock. */
  readonly at: number;
  readonly sums: Sums;
  /** May throw, and begin the decision again with what it asks for in hand: to be called before the first change. */
  foresee(add: (look: Foreseen) => void): void;

  spec(number: number): SpecColumns | undefined;
  /** The spec as it was given, of a task that is there. */
  encodedSpec(number: number): Uint8Array;
  /** A task's, an array's or an element's record, folded or not. */
  task(number: number, idx: number): TaskColumns | undefined;
  array(number: number): OpenArray | undefined;
  /** Whether an element that no claim has reached has a record: it was killed early. */
  hasRecord(array: OpenArray, idx: number): boolean;
  /** Elements of an array that wait again. */
  waitingElements(number: number): readonly TaskColumns[];
  /** Tasks that have a place on a host, in the order of their keys. */
  liveOn(hostId: string): readonly TaskColumns[];
  /** Those of them whose runs end with their host's lease. */
  leasedOn(hostId: string): readonly TaskColumns[];
  /** What is kept of an attempt. */
  attempt(of: TaskKey, attempt: number): AttemptRecord | undefined;
  /** What is kept of the attempts before that one, in their order. */
  attemptsBefore(of: TaskKey, attempt: number): readonly AttemptRecord[];
  putAttempt(of: TaskKey, attempt: AttemptRecord): void;
  /** The journal of a host's agent; undefined where no such host is known. */
  journalOf(hostId: string): string | undefined;
  /** Notes that an operator declared a known host lost: it counts as silent until it is heard of again. */
  declareLost(hostId: string, by: string): void;
  schedulerTerm(): number;
  lease(name: string): LeaseRecord | undefined;
  putLease(lease: LeaseRecord): void;
  clientKey(user: string, key: string): ClientKey | undefined;
  /** The next task's number; none is given out twice. */
  nextNumber(): number;
  /** Stores a new task, which is pending, and announces it. */
  add(spec: SpecColumns, task: NewRecord): void;

  /** Stores a task's or element's new form under a revision of its own, and puts it into the feed. `array` is given with an array's own record. */
  announce(row: TaskColumns, spec: SpecColumns, array?: ArrayRecord): TaskColumns;

  /** Whether all elements of an array are folded; true for a task. */
  isSettled(number: number): boolean;
  /** Whether a pending task waits for the outcome of that one. */
  isWaitedFor(number: number): boolean;
  /** Deletes an archived task: record, spec, client key, attempts. What an array leaves of chunks and attempts is removed later, in steps. */
  remove(spec: SpecColumns): void;

  /** What can be read of a damaged record; undefined where there is none. */
  salvaged(number: number, idx: number): Salvaged | undefined;
  /** Indexes of an array's elements that have a record and are not over, damaged ones too. */
  livingElements(number: number): readonly number[];
  /** Puts a record that can be read in the place of a damaged one, and announces it. */
  replace(row: TaskColumns, spec: SpecColumns, array: ArrayRecord | undefined): void;
}
