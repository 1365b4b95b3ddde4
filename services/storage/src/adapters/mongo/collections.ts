import type { TaskColumns } from "../../decisions/record/columns.ts";

/**
 * The database's form as data: what the collections are called, and which indexes they have beside `_id`. The documents have the columns of the SQLite form
 * under the same names; a new index is one more line, made at the next start.
 */
export const collections = {
  /** One document: see WriterDoc. */
  meta: [],
  /** The session in which each store writes. */
  copies: [],
  /** What never changes of a task or array, `_id` its number. */
  specs: [],
  /** A task, an array or an element; `_id` from taskKey, so that their order is the order of keys. `live` only where it is not over. */
  tasks: [
    { key: { live: 1, _id: 1 }, partialFilterExpression: { live: 1 } },
    { key: { live: 1, host: 1 }, partialFilterExpression: { live: 1 } },
    { key: { user: 1, _id: -1 }, partialFilterExpression: { idx: -1 } },
    { key: { user: 1, live: 1, _id: -1 }, partialFilterExpression: { live: 1, idx: -1 } },
    { key: { unsettled: 1, _id: 1 }, partialFilterExpression: { unsettled: 1 } },
    { key: { phase: 1, over_at: 1 }, sparse: true },
    { key: { parents: 1 }, sparse: true },
  ],
  /** Ended elements of arrays, a thousand indexes a document; `_id` from chunkKey. */
  folded: [],
  /** Arrays whose own record was deleted, and whose chunks and attempts still have to be deleted. */
  remains: [],
  /** Attempts that were followed by another or given up; `_id` from attemptKey. */
  attempts: [],
  /** The feed; `_id` is the revision. */
  changes: [],
  /** `_id` is the user's name and the key, with a NUL between. */
  client_keys: [],
  hosts: [],
  /** When any store last heard from each agent; not in the feed. */
  host_seen: [],
  /** Running sums: counts by user and state, load by host, usage by day. */
  sums: [{ key: { kind: 1, user: 1 } }],
} as const satisfies Readonly<Record<string, readonly IndexForm[]>>;

export interface IndexForm {
  readonly key: Readonly<Record<string, 1 | -1>>;
  readonly partialFilterExpression?: Readonly<Record<string, number>>;
  readonly sparse?: boolean;
}

export type CollectionName = keyof typeof collections;

/**
 * The version of the documents that this version writes. It reads earlier ones, too: 1 had no `retry_on`, see toTask. A database of a later one is not opened.
 */
export const formVersion = 2;

/** How far an array is; in the document of the array itself. */
export interface ArrayDoc {
  readonly first: number;
  readonly last: number;
  readonly step: number;
  readonly max_live: number;
  readonly cursor: number;
  readonly early: number;
  readonly live: number;
  readonly waiting: number;
  readonly ended: Readonly<Record<string, number>>;
  readonly cpu_ms: number;
  readonly wall_ms: number;
}

export interface TaskDoc extends TaskColumns {
  readonly _id: string;
  readonly live?: 1;
  readonly array?: ArrayDoc;
  /** Of an array until it is over and none of its elements has a record. */
  readonly unsettled?: 1;
  /** Numbers of the tasks that it waits for, while it is pending. */
  readonly parents?: readonly number[];
  /** When it ended, by the database's clock: `ended_at` is the host's, and may be wrong by years. */
  readonly over_at?: number;
  /** 0: over and ripe for its files to go, once that is long ago; 1: they are gone. */
  readonly phase?: 0 | 1;
}

export interface ChunkDoc {
  readonly _id: string;
  readonly n: number;
  /** A bit for each outcome in it. */
  readonly outcomes: number;
  readonly body: Uint8Array;
}

export interface KeyDoc {
  readonly _id: string;
  readonly number: number;
  readonly spec_hash: Uint8Array;
}

export interface AttemptDoc {
  readonly _id: string;
  readonly attempt: number;
  readonly host: string;
  readonly outcome: number;
  readonly reason_code: string;
  readonly reason_message: string;
  readonly ended_at: number;
  readonly cpu_ms: number | null;
  readonly peak_memory_bytes: number | null;
  readonly wall_ms: number | null;
}

export interface HostDoc {
  readonly _id: string;
  readonly said: Uint8Array;
  readonly silent: boolean;
  /** The operator who declared it lost; empty: nobody did since it was last seen. */
  readonly lost_by: string;
  readonly seen_at: number;
  readonly revision: number;
}

export interface LeaseDoc {
  readonly name: string;
  readonly holder: string;
  readonly term: number;
  readonly expires_at: number;
}

/** Each transaction writes this document first, so the database itself allows one writer at a time. Therefore revisions are issued and seen in commit order. */
export interface WriterDoc {
  readonly _id: "writer";
  readonly form: number;
  readonly epoch: string;
  /** The last revision of the feed, and the last task number, that were issued. */
  readonly revision: number;
  readonly number: number;
  /** The database's clock at the last write. */
  readonly at: Date;
  /** Grows with each write, also with one that has no row in the feed. */
  readonly turn: number;
  /** Revision of the last change of a host. */
  readonly hosts_revision: number;
  readonly purged_up_to: number;
  readonly leases: readonly LeaseDoc[];
  /** The last value of BERTH_NEW_EPOCH that began a new epoch. */
  readonly new_epoch: string;
  /** Runs placed up to this revision are from before the restore, and still have to be ended as lost; missing: that is done. */
  readonly renewed_at?: number;
  /** When the clock was last trusted to archive and delete by; missing: never. */
  readonly believed_at?: number;
  /** The number of each store's last write: shows after an unknown commit whether it was stored. */
  readonly copies: Readonly<Record<string, { readonly seq: number; readonly at: Date }>>;
}

const padded = (number: number): string => String(number).padStart(16, "0");

/** Key order of the port: by number, the array before its elements, elements by index. */
export const taskKey = (number: number, idx: number): string =>
  idx < 0 ? padded(number) : `${padded(number)}.${padded(idx)}`;

/** Of an element's key. */
export const indexOf = (key: string): number => Number(key.slice(key.indexOf(".") + 1));

/** Greater than the keys of all elements of an array, smaller than the next number's. */
export const afterElements = (number: number): string => `${padded(number)}/`;

/** Greater than the keys of all chunks of an array, smaller than the next number's. */
export const afterChunks = (number: number): string => `${padded(number)}0`;

export const chunkKey = (number: number, chunk: number): string => `${padded(number)}/${padded(chunk)}`;

export const attemptKey = (number: number, idx: number, attempt: number): string =>
  `${taskKey(number, idx)}/${String(attempt).padStart(8, "0")}`;

export const clientKeyOf = (user: string, key: string): string => `${user}\0${key}`;
