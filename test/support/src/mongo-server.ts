import { randomBytes } from "node:crypto";
import { mongodPath, startOwnMongo } from "./mongo-process.ts";
import { announced, drop, namer } from "./mongo-access.ts";
import type { MongoServer } from "./mongo-access.ts";

/**
 * A server for tests: the one that `MONGODB_URL` names; else `mongod` of the PATH, as a replica set of one; else, where `BERTH_TEST_MONGO=memory` says so,
 * mongodb-memory-server, which downloads one; else the stand-in, a process of its own. Says which it is, once. Throws where none can be had.
 */
export async function startMongo(): Promise<MongoServer> {
  const server = await found();
  inUse = server.name;
  return server;
}

async function found(): Promise<MongoServer> {
  const given = process.env["MONGODB_URL"];
  if (given) return announced(existing(given));
  if (process.env["BERTH_TEST_MONGO"] === "memory" && !mongodPath()) return announced(await startMemoryServer());
  return startOwnMongo();
}

let inUse = "";

/** On which database this process's clusters run, for the record. */
export const databaseInUse = (): string => inUse || "SQLite";

/** One server for all tests of a process, each with a database of its own. It ends with the process. */
export function sharedMongo(): Promise<MongoServer> {
  shared ??= startMongo();
  return shared;
}
let shared: Promise<MongoServer> | undefined;

export interface TestDatabase {
  readonly url: string;
  remove(): Promise<void>;
}

/** A database for a cluster of a test, where `BERTH_TEST_DATABASE=mongo` asks for one; else it has SQLite. */
export async function testDatabase(): Promise<TestDatabase | undefined> {
  if (process.env["BERTH_TEST_DATABASE"] !== "mongo") return undefined;
  const server = await sharedMongo();
  const name = `berth_test_${randomBytes(6).toString("hex")}`;
  return {
    url: server.urlOf(name),
    async remove() {
      await server.drop(server.urlOf(name));
      await server.drop(server.urlOf(`${name}_auth`));
    },
  };
}

function existing(url: string): MongoServer {
  const name = `the one of MONGODB_URL (${new URL(url.replace(/^mongodb(\+srv)?:/, "http:")).host})`;
  return {
    url,
    name,
    urlOf: namer(url),
    drop,
    close: async () => {},
  };
}

interface MemoryServer {
  getUri(): string;
  stop(): Promise<unknown>;
}

async function startMemoryServer(): Promise<MongoServer> {
  const module = "mongodb-memory-server";
  const { MongoMemoryReplSet } = (await import(module)) as {
    MongoMemoryReplSet: { create(options: object): Promise<MemoryServer> };
  };
  const server = await MongoMemoryReplSet.create({ replSet: { count: 1, storageEngine: "wiredTiger" } });
  const url = server.getUri();
  const close = async () => void (await server.stop());
  return { url, name: module, urlOf: namer(url), drop, close };
}
