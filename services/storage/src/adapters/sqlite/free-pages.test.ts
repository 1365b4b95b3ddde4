import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqlite } from "@berth/database";
import { describe, expect, it } from "vitest";
import { migrations } from "./schema.ts";
import { sqliteTaskStore } from "./open-store.ts";

describe("a database of which much was deleted", () => {
  it("shrinks to a quarter more than it needs, in small steps", async () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-pages-"));
    const path = join(dir, "storage.db");
    const db = openSqlite(path, { migrations, shrinks: true });
    const store = sqliteTaskStore(db, { now: Date.now });
    try {
      db.exec(
        "INSERT INTO folded WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n LIMIT 6000) SELECT 1, a, 1, 2, zeroblob(8000) FROM n",
      );
      expect(await store.housekeeping()).toBe(false);
      db.exec("DELETE FROM folded WHERE chunk > 10");
      let steps = 0;
      while (await store.housekeeping()) steps += 1;
      expect(steps).toBeGreaterThan(20);
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      expect(statSync(path).size).toBeLessThan(20e6);
      expect(db.sql("SELECT count(*) AS n FROM folded").get()).toEqual({ n: 10 });
    } finally {
      store.close();
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
