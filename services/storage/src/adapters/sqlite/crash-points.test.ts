import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunPhase } from "@berth/contracts/agent";
import { ListTasksRequest } from "@berth/contracts/store";
import { TaskRequest } from "@berth/contracts/types";
import { openSqlite } from "@berth/database";
import type { Database } from "@berth/database";
import { aHost, aNewTask, aStatus } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { migrations } from "./schema.ts";
import { sqliteTaskStore } from "./open-store.ts";
import type { SqliteTaskStore } from "./open-store.ts";

/** A database whose statements in transactions fail from the n-th on, until it is mended. */
function fused(db: Database): Database & { left: number } {
  const fuse = {
    ...db,
    left: Infinity,
    sql(text: string) {
      const statement = db.sql(text);
      if (/^(SAVEPOINT|RELEASE|ROLLBACK)/.test(text)) return statement;
      return new Proxy(statement, {
        get(target, name) {
          const value = Reflect.get(target, name) as unknown;
          if (typeof value !== "function") return value;
          return (...args: unknown[]) => {
            if (["run", "get", "all"].includes(String(name)) && db.inTransaction() && fuse.left-- <= 0)
              throw new Error("broken");
            return (value as (...values: unknown[]) => unknown).apply(target, args);
          };
        },
      });
    },
  };
  return fuse;
}

const elements = 40;

/** All that anybody can read. */
async function seen(store: SqliteTaskStore, array: string): Promise<unknown> {
  const tasks = [];
  for (let index = 1; index <= elements; index++)
    tasks.push(await store.get({ taskId: `${array}.${index}`, user: "" }));
  const listed = await store.list(ListTasksRequest.fromPartial({ arrayId: array, pageSize: 100 }));
  const { byState } = await store.countTasks({ user: "" });
  return {
    tasks,
    listed: listed.tasks,
    counts: Object.entries(byState).filter(([, n]) => n > 0),
    whole: await store.get({ taskId: array, user: "" }),
  };
}

describe("a transaction that breaks at any statement", () => {
  async function scene(
    work: (store: SqliteTaskStore, array: string, db: { left: number }) => Promise<void>,
  ): Promise<void> {
    const dir = mkdtempSync(join(tmpdir(), "berth-crash-"));
    const db = fused(openSqlite(join(dir, "storage.db"), { migrations }));
    const store = sqliteTaskStore(db, { now: Date.now, foldAfterMs: 0 });
    try {
      await store.syncHosts({ hosts: [aHost("h1")], silentHostIds: [], silentAfterMs: 0 });
      await store.acquireLease({ name: "scheduler", holder: "test", ttlMs: 60_000 });
      const array = { first: 1, last: elements, step: 1, maxLive: 0 };
      const [result] = await store.submit([{ task: aNewTask({ array, clientKey: "k" }), number: 0 }]);
      await work(store, result!.taskId, db);
    } finally {
      db.left = Infinity;
      store.close();
      rmSync(dir, { recursive: true, force: true });
    }
  }
  const place = (store: SqliteTaskStore, array: string, from: number, upTo: number) =>
    store.commitPlan({
      term: 1,
      placements: Array.from({ length: upTo - from + 1 }, (_, i) => ({
        taskId: `${array}.${from + i}`,
        attempt: 1,
        hostId: "h1",
        journalId: "journal-h1",
      })),
      ends: [],
    });
  const end = (store: SqliteTaskStore, array: string, from: number, upTo: number) =>
    store.applyReports({
      reports: [
        {
          hostId: "h1",
          journalId: "journal-h1",
          statuses: Array.from({ length: upTo - from + 1 }, (_, i) =>
            aStatus(store.epoch, `${array}.${from + i}`, 1, RunPhase.ENDED),
          ),
        },
      ],
    });

  /** Tries with the fuse at each statement in turn until one goes through; before, nothing may have changed. */
  async function untilItHolds(db: { left: number }, act: () => Promise<unknown>, unchanged: () => Promise<void>) {
    for (let at = 0; ; at++) {
      db.left = at;
      const held = await act().then(
        () => true,
        () => false,
      );
      const blown = db.left < 0;
      db.left = Infinity;
      if (held && !blown) return at;
      await unchanged();
      expect(at).toBeLessThan(1_000);
    }
  }

  it("folds nothing, or a whole step, and reads stay the same", async () => {
    await scene(async (store, array, db) => {
      await place(store, array, 1, 30);
      await end(store, array, 1, 20);
      const before = await seen(store, array);
      const unchanged = async () => expect(await seen(store, array)).toEqual(before);
      const first = await untilItHolds(db, () => store.fold(1_000), unchanged);
      await unchanged();
      await end(store, array, 21, 25);
      const between = await seen(store, array);
      const same = async () => expect(await seen(store, array)).toEqual(between);
      const second = await untilItHolds(db, () => store.fold(1_000), same); // into a chunk that is there
      await same();
      expect(Math.min(first, second)).toBeGreaterThan(4);
    });
  });

  it("claims, kills and archives wholly or not at all", async () => {
    await scene(async (store, array, db) => {
      let before = await seen(store, array);
      const unchanged = async () => expect(await seen(store, array)).toEqual(before);
      await untilItHolds(db, () => place(store, array, 1, 5), unchanged);
      before = await seen(store, array);
      expect(before).toMatchObject({ whole: { progress: { live: 5, unclaimed: elements - 5 } } });
      const kill = async (id: string) => {
        const { results } = await store.request({
          taskIds: [id],
          request: TaskRequest.KILL,
          user: "ada",
          admin: false,
        });
        if (results[0]!.failure) throw new Error(results[0]!.failure.message);
      };
      await untilItHolds(db, () => kill(`${array}.9`), unchanged);
      before = await seen(store, array);
      await untilItHolds(db, () => kill(array), unchanged);
      await end(store, array, 1, 5);
      while ((await store.fold(10)).more) continue;
      before = await seen(store, array);
      expect(before).toMatchObject({ whole: { progress: { live: 0, ended: { killed: elements - 5, succeeded: 5 } } } });
      await untilItHolds(
        db,
        async () => {
          const ids = await store.expired(0, 10);
          expect(await store.archive(ids)).toBe(1);
        },
        unchanged,
      );
      expect(await seen(store, array)).toMatchObject({
        whole: { state: "TASK_STATE_ARCHIVED" },
        counts: [["archived", elements]],
      });
    });
  });

  it("deletes a record wholly or not at all", async () => {
    await scene(async (store, array, db) => {
      await store.submit([{ task: aNewTask(), number: 0 }]); // the newest stays
      await place(store, array, 1, elements);
      await end(store, array, 1, elements);
      while ((await store.fold(10)).more) continue;
      await store.archive(await store.expired(0, 10));
      const before = await seen(store, array);
      await untilItHolds(
        db,
        () => store.deleteRecords(0, 10),
        async () => expect(await seen(store, array)).toEqual(before),
      );
      await expect(store.get({ taskId: array, user: "" })).rejects.toMatchObject({ reason: "TASK_NOT_FOUND" });
      while ((await store.deleteRecords(0, 10)).more) continue;
      expect(await store.submit([{ task: aNewTask({ clientKey: "k" }), number: 0 }])).toMatchObject([
        { existing: false },
      ]);
    });
  });
});
