import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Network, Outcome } from "@berth/contracts/types";
import { MiB } from "@berth/core";
import {
  apiOf,
  Ledger,
  readLog,
  startCluster,
  startDockerEngine,
  submit,
  until,
  whenOver,
  whenRunning,
  whyNoDockerEngine,
} from "@berth/test-support";
import type { Api, DockerEngine, TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const why = whyNoDockerEngine();
const bridge = `brth${process.pid % 100_000}`;
const subnet = `10.213.${process.pid % 250}`;
const resources = { cpuMilli: 300, memoryBytes: 16 * MiB };

/** One engine for one cluster: it may be ended and started as its service would be. */
describe.skipIf(why !== undefined && !process.env["CI"])(
  `a cluster on a Docker engine of its own${why === undefined ? "" : ` NOT RUN: ${why}`}`,
  () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-own-engine-"));
    let engine: DockerEngine;
    let cluster: TestCluster;
    let api: Api;
    beforeAll(async () => {
      execFileSync("ip", ["link", "add", bridge, "type", "bridge"]);
      execFileSync("ip", ["addr", "add", `${subnet}.1/24`, "dev", bridge]);
      execFileSync("ip", ["link", "set", bridge, "up"]);
      engine = await startDockerEngine(join(dir, "engine"), { bridge });
      cluster = await startCluster({ driver: "docker", env: { DOCKER_HOST: `unix://${engine.socketPath}` } });
      api = apiOf(cluster);
    }, 120_000);
    afterAll(async () => {
      api?.close();
      await cluster?.close();
      await engine?.stop();
      execFileSync("ip", ["link", "del", bridge]);
      rmSync(dir, { recursive: true, force: true });
    }, 60_000);

    it("gives a task with a network no way to Berth's ports, and no raw sockets", async () => {
      const { gatewayPort, natsPort } = JSON.parse(readFileSync(cluster.layout.clusterFile, "utf8")) as {
        gatewayPort: number;
        natsPort: number;
      };
      const open = createServer((_, answer) => void answer.end("reached\n")).listen(0, "0.0.0.0");
      await new Promise((resolve) => open.once("listening", resolve));
      try {
        const { port } = open.address() as AddressInfo;
        const script = `#!/bin/sh
printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 ${subnet}.1 ${port} | tail -n 1
for port in ${gatewayPort} ${natsPort}; do
  for host in ${subnet}.1 127.0.0.1 172.17.0.1 $(hostname -i); do
    echo INFO | nc -w 2 $host $port 2>/dev/null && echo "reached $host:$port"
  done
done
ping -c 1 -W 1 ${subnet}.1 >/dev/null 2>&1 && echo raw
env | grep -i -E 'secret|nats|password|BERTH_(STORAGE|AUTH|KEY)'
echo done`;
        const id = await submit(api, { script, resources, network: Network.BRIDGE });
        expect(await whenOver(api, id)).toMatchObject({ outcome: Outcome.SUCCEEDED });
        expect(await readLog(api, id)).toBe("reached\ndone\n");
      } finally {
        open.close();
      }
    });

    it.each(["SIGTERM", "SIGKILL"] as const)(
      "goes on after a %s of the engine: nothing runs twice, what was lost is told so",
      async (signal) => {
        const ledger = new Ledger(cluster, api, `engine-${signal}`, "0.5");
        await ledger.submit(40, resources);
        const long = await submit(api, { command: ["sleep", "600"], resources });
        await whenRunning(api, long);
        await engine.end(signal);
        await ledger.submit(5, resources); // accepted meanwhile
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        await engine.start();
        await ledger.waitUntilOver();
        // Containers end with an engine that does not keep them; what they were is told as lost, never run again unasked.
        expect(await ledger.faults({ mayLose: true })).toEqual([]);
        const over = await whenOver(api, long, 60_000);
        expect(over).toMatchObject({ outcome: Outcome.LOST, attempt: 1, reason: { code: "ENGINE_RESTARTED" } });
        const next = await submit(api, { command: ["true"], resources });
        expect(await whenOver(api, next)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
        await until(async () => (await cluster.berth(["status"])).code === 0, "the cluster to be well");
      },
      180_000,
    );
  },
);
