import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readFaults } from "@berth/local/faults";
import { Outcome } from "@berth/contracts/types";
import { apiOf, startCluster, submit, until, whenOver } from "@berth/test-support";
import type { TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

describe.skipIf(process.env["BERTH_TEST_DATABASE"] === "mongodb")("a damaged database", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ driver: "process" });
    const api = apiOf(cluster);
    for (let n = 0; n < 3; n++)
      expect((await whenOver(api, await submit(api, { command: ["true"] }))).outcome).toBe(Outcome.SUCCEEDED);
    api.close();
  });
  afterAll(() => cluster?.close());

  it.each([
    ["auth", "auth/auth.db"],
    ["storage", "storage/storage.db"],
    ["agent", "agent/journal.db"],
  ] as const)(
    "of %s is told with its path, and stays down until somebody acts",
    async (name, file) => {
      const path = join(cluster.data, file);
      await cluster.kill("supervisor");
      await cluster.kill(name);
      const log = readFileSync(`${path}-wal`);
      truncateSync(`${path}-wal`, Math.floor(log.length / 2));
      const told = await cluster.up();
      expect(told.code).not.toBe(0);
      expect(`${told.stdout}${told.stderr}`).toContain(`${path} is damaged`);
      writeFileSync(`${path}-wal`, log); // as an operator who has a copy of it
      expect(await cluster.up()).toMatchObject({ code: 0 });
    },
    120_000,
  );

  it.each([
    ["auth", "auth/auth.db", "a log cut off"],
    ["storage", "storage/storage.db", "a log cut off"],
    ["agent", "agent/journal.db", "a log cut off"],
    ["agent", "agent/journal.db", "a file overwritten"],
    ["storage", "storage/storage.db", "a file overwritten"],
  ] as const)(
    "of %s, %s, %s while the cluster runs: it ends once, with 78, and status says why",
    async (name, file, how) => {
      const path = join(cluster.data, file);
      const supervisor = cluster.pidOf("supervisor")!;
      process.kill(supervisor, "SIGSTOP"); // it would start the service before the damage is done
      const copies = new Map<string, Buffer>();
      try {
        const cutOff = how === "a log cut off";
        // Ended in order, it has brought its log into the file.
        if (cutOff) await cluster.kill(name);
        else {
          const pid = cluster.pidOf(name)!;
          process.kill(pid, "SIGTERM");
          await until(() => cluster.pidOf(name) !== pid, `${name} to be gone`);
        }
        for (const end of ["", "-wal", "-shm"])
          if (existsSync(`${path}${end}`)) copies.set(`${path}${end}`, readFileSync(`${path}${end}`));
        if (cutOff) truncateSync(`${path}-wal`, Math.floor(copies.get(`${path}-wal`)!.length / 2));
        // As after bad sectors: all pages behind the first are no pages of SQLite's any more.
        else writeFileSync(path, Buffer.from(copies.get(path)!).fill(0xa5, 4096));
      } finally {
        process.kill(supervisor, "SIGCONT");
      }
      const fault = () => readFaults(cluster.layout).find((one) => one.name === name);
      await until(() => fault() !== undefined, `the supervisor to report ${name}`, 30_000);
      expect(fault()).toMatchObject({ staysDown: true, words: expect.stringContaining(`${path} is damaged`) });
      const status = await cluster.berth(["status"]);
      expect(`${status.stdout}${status.stderr}`).toContain(`${path} is damaged`);
      expect(cluster.pidOf(name)).toBeUndefined();
      for (const end of ["-wal", "-shm"]) rmSync(`${path}${end}`, { force: true });
      for (const [copy, bytes] of copies) writeFileSync(copy, bytes);
      const again = await cluster.up();
      expect(again.code, again.stderr).toBe(0);
      const api = apiOf(cluster);
      expect((await whenOver(api, await submit(api, { command: ["true"] }))).outcome).toBe(Outcome.SUCCEEDED);
      api.close();
    },
    120_000,
  );
});
