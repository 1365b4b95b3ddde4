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
    async damage(record, taskId, column, value) {
      const { number, index = -1 } = splitTaskId(taskId);
      const db = openSqlite(join(dir, "storage.db"), { migrations });
      const where = record === "task" ? ` AND idx = ${index}` : "";
      db.sql(`UPDATE ${record}s SET ${column} = ? WHERE number = ?${where}`).run(value, number);
      db.close();
    },
    remove: async () => rmSync(dir, { recursive: true, force: true }),
  };
});
