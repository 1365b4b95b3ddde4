import type {
  AnyBulkWriteOperation,
  ClientSession,
  CreateIndexesOptions,
  Document,
  Filter,
  FindOptions,
  IndexSpecification,
  MongoClient,
  ReadConcern,
  UpdateFilter,
} from "mongodb";
import type { CollectionName } from "./collections.ts";
import { toAppError } from "./errors.ts";

export type Session = ClientSession;
export type Write = AnyBulkWriteOperation<Document>;
export type Query = Record<string, unknown>;

/** The driver's calls that the adapter uses. All of them are made here, so that tests can inject faults. */
export interface MongoCalls {
  /** Majority read concern outside a transaction; within one, its snapshot. */
  find(name: CollectionName, filter: Query, options?: FindOptions, session?: Session): Promise<Document[]>;
  findOneAndUpdate(
    name: CollectionName,
    filter: Query,
    update: Query | Query[],
    session?: Session,
  ): Promise<Document | null>;
  insertOne(name: CollectionName, document: Query): Promise<void>;
  bulkWrite(name: CollectionName, writes: Write[], session?: Session): Promise<void>;
  deleteMany(name: CollectionName, filter: Query): Promise<void>;
  createCollection(name: CollectionName): Promise<void>;
  createIndex(name: CollectionName, key: IndexSpecification, options: CreateIndexesOptions): Promise<void>;
  /** A session whose reads see what it read before; it has to be ended. */
  session(): Session;
  begin(session: Session): void;
  commit(session: Session): Promise<void>;
  abort(session: Session): Promise<void>;
  end(session: Session): Promise<void>;
  /** The session's id at the server. */
  sessionId(session: Session): Uint8Array;
  /** Ends sessions and their transactions at the server, also those of clients that are gone. */
  killSessions(ids: readonly Uint8Array[]): Promise<void>;
  /** Changes of one collection from now on, until its end; fails where there is no history to read. */
  watch(name: CollectionName, pipeline: Document[]): Watch;
  /** A command of the admin database. */
  admin(command: Document): Promise<Document>;
  close(): Promise<void>;
}

export interface Watch {
  /** Resolves once it is open; with a change, if there was one at once. */
  open(): Promise<unknown>;
  next(): Promise<unknown>;
  close(): Promise<void>;
}

const durable = { w: "majority", journal: true } as const;
const committed = { level: "majority" } as const;

export function driverCalls(client: MongoClient, database: string, uuid: (id: Uint8Array) => unknown): MongoCalls {
  const db = client.db(database, {
    writeConcern: durable,
    readConcern: committed as ReadConcern,
    readPreference: "primary",
  });
  const collection = (name: CollectionName) => db.collection(name);
  return {
    find: (name, filter, options = {}, session) =>
      collection(name)
        .find(filter as Filter<Document>, session ? { ...options, session } : options)
        .toArray(),
    findOneAndUpdate: (name, filter, update, session) =>
      collection(name).findOneAndUpdate(filter as Filter<Document>, update as UpdateFilter<Document>, {
        returnDocument: "after",
        ...(session ? { session } : {}),
      }),
    async insertOne(name, document) {
      await collection(name).insertOne(document);
    },
    async bulkWrite(name, writes, session) {
      if (writes.length > 0)
        await collection(name).bulkWrite(writes, { ordered: true, ...(session ? { session } : {}) });
    },
    async deleteMany(name, filter) {
      await collection(name).deleteMany(filter as Filter<Document>);
    },
    async createCollection(name) {
      await db.createCollection(name);
    },
    async createIndex(name, key, options) {
      await collection(name).createIndex(key, options);
    },
    session: () => client.startSession({ causalConsistency: true }),
    begin: (session) =>
      session.startTransaction({
        readConcern: { level: "snapshot" },
        writeConcern: durable,
        readPreference: "primary",
      }),
    commit: (session) => session.commitTransaction(),
    abort: (session) => session.abortTransaction(),
    end: (session) => session.endSession(),
    sessionId: (session) => session.id!.id.buffer,
    async killSessions(ids) {
      await client.db("admin").command({ killSessions: ids.map((id) => ({ id: uuid(id) })) });
    },
    watch(name, pipeline) {
      const stream = collection(name).watch(pipeline, { maxAwaitTimeMS: 1_000 });
      return { open: () => stream.tryNext(), next: () => stream.next(), close: () => stream.close() };
    },
    admin: (command) => client.db("admin").command(command),
    close: () => client.close(),
  };
}

/** The same calls, whose errors are those of `toAppError`. `begin`, `session` and `sessionId` ask no server. */
export function withAppErrors(calls: MongoCalls): MongoCalls {
  return {
    find: (...args) => told(calls.find(...args)),
    findOneAndUpdate: (...args) => told(calls.findOneAndUpdate(...args)),
    insertOne: (...args) => told(calls.insertOne(...args)),
    bulkWrite: (...args) => told(calls.bulkWrite(...args)),
    deleteMany: (...args) => told(calls.deleteMany(...args)),
    createCollection: (name) => told(calls.createCollection(name)),
    createIndex: (...args) => told(calls.createIndex(...args)),
    session: () => calls.session(),
    begin: (session) => calls.begin(session),
    commit: (session) => told(calls.commit(session)),
    abort: (session) => told(calls.abort(session)),
    end: (session) => told(calls.end(session)),
    sessionId: (session) => calls.sessionId(session),
    killSessions: (ids) => told(calls.killSessions(ids)),
    watch(name, pipeline) {
      const watch = calls.watch(name, pipeline);
      return { open: () => told(watch.open()), next: () => told(watch.next()), close: () => told(watch.close()) };
    },
    admin: (command) => told(calls.admin(command)),
    close: () => told(calls.close()),
  };
}

const told = <T>(call: Promise<T>): Promise<T> =>
  call.catch((error: unknown) => {
    throw toAppError(error);
  });
