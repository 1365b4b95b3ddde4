import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrations, openMongoAccounts, sqliteHostKeys } from "@berth/auth";
import type { MongoAccounts } from "@berth/auth";
import { openSqlite } from "@berth/database";
import type { Database } from "@berth/database";
import { sharedMongo } from "@berth/test-support";
import { describeHostKeys } from "./host-keys-suite.ts";

describeHostKeys("SQLite", async () => {
  const dir = mkdtempSync(join(tmpdir(), "berth-host-keys-"));
  const opened: Database[] = [];
  return {
    async open() {
      const database = openSqlite(join(dir, "auth.db"), { migrations });
      opened.push(database);
      return sqliteHostKeys(database);
    },
    async remove() {
      for (const database of opened) database.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
});

describeHostKeys("MongoDB", async () => {
  const server = await sharedMongo();
  const name = `berth_test_${randomBytes(6).toString("hex")}`;
  const opened: MongoAccounts[] = [];
  return {
    async open() {
      const accounts = await openMongoAccounts(server.urlOf(name));
      opened.push(accounts);
      return accounts.hostKeys;
    },
    async remove() {
      for (const accounts of opened) await accounts.close();
      await server.drop(server.urlOf(`${name}_auth`));
    },
  };
});
