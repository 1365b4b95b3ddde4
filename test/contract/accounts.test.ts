import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrations, openMongoAccounts, sqliteAccounts } from "@berth/auth";
import type { MongoAccounts } from "@berth/auth";
import { openSqlite } from "@berth/database";
import type { Database } from "@berth/database";
import { sharedMongo } from "@berth/test-support";
import { expect, it } from "vitest";
import { describeAccounts } from "./accounts-suite.ts";

describeAccounts("SQLite", async () => {
  const dir = mkdtempSync(join(tmpdir(), "berth-accounts-"));
  const opened: Database[] = [];
  return {
    async open() {
      const database = openSqlite(join(dir, "auth.db"), { migrations });
      opened.push(database);
      return sqliteAccounts(database);
    },
    async remove() {
      for (const database of opened) database.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
});

async function mongo() {
  const server = await sharedMongo();
  const name = `berth_test_${randomBytes(6).toString("hex")}`;
  const opened: MongoAccounts[] = [];
  return {
    async openWhole() {
      const accounts = await openMongoAccounts(server.urlOf(name));
      opened.push(accounts);
      return accounts;
    },
    async open() {
      return (await this.openWhole()).accounts;
    },
    async remove() {
      for (const accounts of opened) await accounts.close();
      await server.drop(server.urlOf(`${name}_auth`));
    },
  };
}

describeAccounts("MongoDB", async () => {
  const database = await mongo();
  return { open: () => database.open(), remove: () => database.remove() };
});

it("copies of auth on MongoDB sign with one key", async () => {
  const database = await mongo();
  try {
    const copies = await Promise.all([database.openWhole(), database.openWhole(), database.openWhole()]);
    const keys = await Promise.all(copies.map((copy, n) => copy.tokenKey(() => `key ${n}`)));
    expect(new Set(keys).size).toBe(1);
    expect(await copies[0]!.tokenKey(() => "another")).toBe(keys[0]);
  } finally {
    await database.remove();
  }
});
