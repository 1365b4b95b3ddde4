import { randomBytes } from "node:crypto";
import { startMongo } from "./mongo-server.ts";
import type { MongoServer } from "./mongo-server.ts";

/** A MongoDB of this test's own, and what services are told of it. */
export async function mongoForCore(): Promise<{
  readonly env: Readonly<Record<string, string>>;
  readonly server: MongoServer;
  /** To be called after a kill -9 of a storage. */
  afterKill(): Promise<void>;
  close(): Promise<void>;
}> {
  const server = await startMongo();
  const name = `berth_core_${randomBytes(6).toString("hex")}`;
  return {
    server,
    // MongoDB ends the transaction of a client that is gone after `transactionLifetimeLimitSeconds`. The stand-in keeps one that was cut off within a statement, and
    // what it has locked, until its own end.
    async afterKill() {
      if (!server.name.includes("stand-in")) return;
      await server.kill?.();
      await server.start?.();
    },
    env: { BERTH_DATABASE: server.urlOf(name) },
    async close() {
      await server.drop(server.urlOf(name)).catch(() => {});
      await server.drop(server.urlOf(`${name}_auth`)).catch(() => {});
      await server.close();
    },
  };
}
