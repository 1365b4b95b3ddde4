import { connectMongo } from "./connect.ts";
import { toAppError } from "./errors.ts";
import { mongoTaskStore } from "./mongo-task-store.ts";
import type { MongoTaskStore } from "./mongo-task-store.ts";
import type { MongoTaskStoreOptions } from "./options.ts";

interface Log {
  info(message: string, fields: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

/** Opens the database that a `mongodb://` URL names. Throws `unavailable` or `precondition` where it cannot be used. */
export async function openMongoStore(
  url: string,
  { logger, ...options }: MongoTaskStoreOptions & { readonly logger: Log },
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
    throw toAppError(error);
  }
}
