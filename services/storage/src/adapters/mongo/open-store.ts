import { connectMongo } from "./connect.ts";
import { makeTaskStore } from "../../app/task-store.ts";
import type { TaskStore } from "../../ports/task-store.ts";
import type { MongoCalls } from "./calls.ts";
import { mongoEngine } from "./engine.ts";
import type { MongoEngine } from "./engine.ts";
import type { MongoOptions } from "./options.ts";

interface Log {
  info(message: string, fields: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export type MongoTaskStore = TaskStore & Pick<MongoEngine, "housekeeping" | "lastRevision" | "close">;

/** The store of tasks on a database that is connected; makes what it lacks of collections and indexes. */
export async function mongoTaskStore(calls: MongoCalls, options: MongoOptions = {}): Promise<MongoTaskStore> {
  const engine = await mongoEngine(calls, options);
  return {
    ...makeTaskStore(engine),
    housekeeping: () => engine.housekeeping(),
    lastRevision: () => engine.lastRevision(),
    close: () => engine.close(),
  };
}

/** Opens the database that a `mongodb://` URL names. Throws `unavailable` or `precondition` where it cannot be used. */
export async function openMongoStore(
  url: string,
  { logger, ...options }: MongoOptions & { readonly logger: Log },
): Promise<MongoTaskStore> {
  const { calls, server, database } = await connectMongo(url, (message, fields) => logger.warn(message, { ...fields }));
  try {
    const store = await mongoTaskStore(calls, {
      ...options,
      onStream(isThere) {
        if (!isThere) logger.warn("no change stream: the database is looked at ten times a second instead", {});
        else logger.info("a change stream tells of other copies' commits", {});
      },
      onRenewed: (renewed) => logger.warn("the database was restored from a copy: a new epoch begins", { ...renewed }),
    });
    logger.info("the database is open", { server, database, epoch: store.epoch, revision: store.lastRevision() });
    return store;
  } catch (error) {
    await calls.close();
    throw error;
  }
}
