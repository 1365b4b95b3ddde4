import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { splitTaskId } from "@berth/core";
import { openSqlite } from "@berth/database";
import { migrations, sqliteTaskStore } from "@berth/storage";
import { describeTaskStore } from "./task-store-suite.ts";

describeTaskStore("SQLite", async () => {
  const dir = mkdtempSync(join(tmpdir(), "berth-task-store-"));
  return {
    async open(options) {
      const store = sqliteTaskStore(openSqlite(join(dir, "storage.db"), { migrations }), options);
      return {
        store,
        async housekeeping() {
          while (await store.housekeeping()) continue;
        },
        close: async () => store.close(),
      };
    },
    async damage(record, id, column, value) {
      const db = openSqlite(join(dir, "storage.db"), { migrations });
      if (record === "host") db.sql(`UPDATE hosts SET ${column} = ? WHERE id = ?`).run(value, id);
      else {
        const { number, index = -1 } = splitTaskId(id);
        const where = record === "task" ? ` AND idx = ${index}` : "";
        const table = record === "folded" ? record : `${record}s`;
        db.sql(`UPDATE ${table} SET ${column} = ? WHERE number = ?${where}`).run(value, number);
      }
      db.close();
    },
    remove: async () => rmSync(dir, { recursive: true, force: true }),
  };
});
