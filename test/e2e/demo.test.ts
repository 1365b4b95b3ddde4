import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dockerForCluster, runBerth } from "@berth/test-support";
import type { Ran } from "@berth/test-support";
import { describe, expect, it } from "vitest";

describe("the demo", () => {
  const withData = async (
    test: (berth: (...args: string[]) => Promise<Ran>, data: string) => Promise<void>,
    env = {},
  ) => {
    const data = mkdtempSync(join(tmpdir(), "berth-demo-"));
    chmodSync(data, 0o711); // tasks of other users pass through it
    const berth = (...args: string[]) => runBerth(args, { env: { ...env, BERTH_DATA: data, NO_COLOR: "1" } });
    try {
      await test(berth, data);
    } finally {
      await berth("down", "--kill");
      rmSync(data, { recursive: true, force: true, maxRetries: 3 });
    }
  };

  it("brings a cluster up, counts, merges and draws; a second time it finds the cluster up", async () => {
    await withData(async (berth, data) => {
      const first = await berth("demo", "--driver", "process", "--port", "0");
      expect(first.code, first.stderr).toBe(0);
      expect(first.stderr).toMatch(/driver: process/);
      expect(first.stdout).toMatch(/\d+ words in \d+ texts/);
      expect(first.stdout).toMatch(/What ran when:\n.*│ *█+ *│/);
      expect(first.stdout).toMatch(/Next:\n(.*berth.*\n){3}/);
      const second = await berth("demo", "--driver", "process", "--port", "0", "--json");
      expect(second.code, second.stderr).toBe(0);
      const told = JSON.parse(second.stdout) as { right: boolean; answer: string };
      expect(told.right).toBe(true);
      expect(first.stdout).toContain(told.answer);
      expect(second.stderr).not.toMatch(/starting/);
      expect(existsSync(join(data, "client.json"))).toBe(true);
    });
  });

  it("exits with another code than 0 where the answer is wrong", async () => {
    await withData(async (berth, data) => {
      expect((await berth("up", "--driver", "process", "--port", "0")).code).toBe(0);
      // The volume that tasks read is another directory than the one that the demo counts for itself.
      const volumes = JSON.parse(readFileSync(join(data, "volumes.json"), "utf8")) as { name: string; path: string }[];
      const other = join(data, "other-texts");
      mkdirSync(other);
      for (let i = 0; i < 40; i++) writeFileSync(join(other, `${i}.txt`), "one two three\n");
      writeFileSync(
        join(data, "volumes.json"),
        JSON.stringify(volumes.map((v) => (v.name === "texts" ? { ...v, path: other } : v))),
      );
      await berth("down");
      const ran = await berth("demo", "--driver", "process", "--port", "0");
      expect(ran.code).not.toBe(0);
      expect(ran.stderr).toMatch(/answer/);
    });
  });

  it("runs in containers where a Docker engine answers, with no image but one it makes itself", async () => {
    const engine = await dockerForCluster();
    await withData(async (berth, data) => {
      const ran = await berth("demo", "--port", "0");
      expect(ran.code, ran.stderr).toBe(0);
      expect(ran.stderr).toMatch(/driver: docker/);
      expect(readdirSync(join(data, "demo", "texts")).length).toBeGreaterThan(0);
    }, engine.env);
    await engine.close();
  });
});
