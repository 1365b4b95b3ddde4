import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqlite } from "@berth/database";
import { aNewTask } from "@berth/test-support";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSqliteStore } from "./open-store.ts";
import { migrations } from "./schema.ts";

let dir: string;
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), "berth-own-records-"))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const open = () => openSqliteStore(dir, { now: Date.now, newEpoch: "", logger: { info() {}, warn() {} } });

/** What belongs to no task: without it nobody can be answered, so an operator has to look. */
describe("what a database keeps of itself", () => {
  it.each([
    [
      "the change feed",
      "UPDATE changes SET revision = 9007199254740993 WHERE revision = (SELECT max(revision) FROM changes)",
    ],
    ["a lease", "UPDATE leases SET term = 9007199254740993"],
  ])("is told as damaged, with its path, where a number in %s is none", async (_, damage) => {
    const store = open();
    await store.submit([{ task: aNewTask(), number: 0 }]);
    await store.acquireLease({ name: "scheduler", holder: "tests", ttlMs: 60_000 });
    store.close();
    const db = openSqlite(join(dir, "storage.db"), { migrations });
    expect(db.sql(damage).run().changes).toBe(1);
    db.close();
    expect(open).toThrow(
      expect.objectContaining({
        reason: "DATABASE_DAMAGED",
        message: expect.stringContaining(join(dir, "storage.db")) as string,
      }),
    );
  });
});
