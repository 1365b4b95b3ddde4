import { mongoStartError } from "@berth/database";
import type { MongoClient } from "mongodb";
import type { MongoCalls } from "./calls.ts";
import { driverCalls } from "./calls.ts";

/** If the server's limit is longer than this, a store that is killed within a transaction blocks all others for that long. */
const longestTransactionSeconds = 5;

export interface Connected {
  readonly calls: MongoCalls;
  readonly server: string;
  readonly database: string;
}

/**
 * Connects to `mongodb://…/database`; the driver is loaded only now. Warns where an operator should set something.
 * Throws as `mongoStartError` says.
 */
export async function connectMongo(url: string, warn: (message: string, fields: object) => void): Promise<Connected> {
  const { MongoClient: Client, UUID } = await import("mongodb");
  const database = databaseOf(url) || "berth";
  let client: MongoClient | undefined;
  try {
    client = new Client(url, {
      appName: "berth-storage",
      serverSelectionTimeoutMS: 5_000,
      connectTimeoutMS: 5_000,
      socketTimeoutMS: 30_000,
      retryWrites: true,
      retryReads: true,
    });
    await client.connect();
    const calls = driverCalls(client, database, (id) => new UUID(Buffer.from(id)));
    const { version } = await client.db("admin").command({ buildInfo: 1 });
    await checkTransactionTime(calls, warn);
    return { calls, database, server: `MongoDB ${version}` };
  } catch (cause) {
    await client?.close();
    throw mongoStartError(cause);
  }
}

async function checkTransactionTime(calls: MongoCalls, warn: (message: string, fields: object) => void): Promise<void> {
  const name = "transactionLifetimeLimitSeconds";
  try {
    const seconds = Number((await calls.admin({ getParameter: 1, [name]: 1 }))[name]);
    if (seconds > longestTransactionSeconds)
      warn("the server lets a transaction of a killed store hold the others up for long; set it lower", {
        [name]: seconds,
        atMost: longestTransactionSeconds,
      });
  } catch {
    // The user may lack the right to ask, and some servers do not know the parameter.
  }
}

/** The name in a connection string; empty where it has none. */
export const databaseOf = (url: string): string =>
  decodeURIComponent(/^mongodb(?:\+srv)?:\/\/[^/?]+\/([^?]*)/.exec(url)?.[1] ?? "");
