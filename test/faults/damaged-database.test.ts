import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Outcome } from "@berth/contracts/types";
import { apiOf, startCluster, submit, whenOver } from "@berth/test-support";
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
});
