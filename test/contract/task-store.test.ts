import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
    remove: async () => rmSync(dir, { recursive: true, force: true }),
  };
});
