import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { repositoryRoot, startCluster } from "@berth/test-support";
import { expect, it } from "vitest";

it("a Python client made from the .proto files alone logs in, submits 100 and watches them to the end", async (test) => {
  await using cluster = await startCluster({ driver: "process" });
  const { server } = JSON.parse(readFileSync(cluster.layout.clientFile, "utf8")) as { server: string };
  const first = JSON.parse(readFileSync(join(cluster.layout.secrets, "first-user.json"), "utf8")) as {
    user: string;
    password: string;
  };
  const child = spawn(join(repositoryRoot, "test/python/run.sh"), {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, BERTH_SERVER: server, BERTH_USER: first.user, BERTH_PASSWORD: first.password },
  });
  const [said, complained, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  if (code === 77 && !process.env["CI"]) return test.skip(`NOT RUN: ${said.trim().split("\n").at(-1)}`);
  expect(said + complained).toContain("100 tasks submitted and watched to their ends");
  expect(code).toBe(0);
});
