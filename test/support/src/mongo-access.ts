/** A server that speaks MongoDB's wire, as a replica set: without one there are no transactions and no change streams. */
export interface MongoServer {
  /** Without a database; `urlOf` names one. */
  readonly url: string;
  /** What it is and which version. */
  readonly name: string;
  urlOf(database: string): string;
  /** Removes a database, by the URL that `urlOf` gave. */
  drop(url: string): Promise<void>;
  /** Ends it, with its files. */
  close(): Promise<void>;
}

/** Names a database in the URL of a server. */
export const namer =
  (url: string) =>
  (database: string): string => {
    const [, base, query = ""] = /^(mongodb(?:\+srv)?:\/\/[^/?]+)(?:\/[^?]*)?(\?.*)?$/.exec(url)!;
    return `${base}/${database}${query}`;
  };

const dropWithinMs = 20_000;

/** A drop waits for open transactions, in the stand-in for ever: an unnamed hang would look like a test that ran out of time. */
async function tooLate(url: string): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, dropWithinMs).unref());
  process.stderr.write(`${url} was not removed within ${dropWithinMs / 1000} s: a transaction is open in it\n`);
}

/** Removes a database, also one that killed stores left transactions open in. */
export async function drop(url: string): Promise<void> {
  const { MongoClient, UUID } = await import("mongodb");
  const client = await MongoClient.connect(url);
  try {
    // Stores that were killed may have left transactions open, for which a drop would wait.
    const copies = await client.db().collection("copies").find().toArray();
    const sessions = copies.map(({ session }) => ({
      id: new UUID(Buffer.from((session as { buffer: Uint8Array }).buffer)),
    }));
    if (sessions.length > 0) await client.db("admin").command({ killSessions: sessions });
    await Promise.race([client.db().dropDatabase(), tooLate(url)]);
  } finally {
    await client.close();
  }
}

/** Prints the server's name and version once, because a test result depends on them. */
export function announced<S extends MongoServer>(server: S): S {
  process.stderr.write(`MongoDB for tests: ${server.name}\n`);
  return server;
}
