import { randomBytes } from "node:crypto";
import { startMongo } from "./mongo-server.ts";

/** A MongoDB of this test's own, and what services are told of it. */
export async function mongoForCore(): Promise<{
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}> {
  const server = await startMongo();
  const name = `berth_core_${randomBytes(6).toString("hex")}`;
  return {
    env: { BERTH_DATABASE: server.urlOf(name) },
    async close() {
      await server.drop(server.urlOf(name)).catch(() => {});
      await server.drop(server.urlOf(`${name}_auth`)).catch(() => {});
      await server.close();
    },
  };
}
