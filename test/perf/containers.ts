import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { runName } from "@berth/core";
import type { Run } from "@berth/core";
import { dockerDriver } from "@berth/executor-agent/docker";
import { ensureDefaultImage } from "@berth/executor-agent/docker/default-image";
import { openEngine } from "@berth/executor-agent/docker/engine";
import { silentLogger } from "@berth/runtime";
import { MemoryLogSink, sharedDockerEngine, whyNoDockerEngine } from "@berth/test-support";
import { median, report, round } from "./measure.ts";

/**
 * No-op containers without a network through the driver (output kept, usage measured, limits, all removed), against the same loop written with dockerode
 * alone: create, start, wait, inspect, remove. Taken in turns, because a machine's speed drifts.
 */
const count = Number(process.argv[2] ?? 40);
const rounds = Number(process.argv[3] ?? 5);
const concurrency = Number(process.argv[4] ?? 4);
const why = whyNoDockerEngine();
if (why !== undefined) {
  report("containers", { notRun: why });
  process.exit(0);
}
const shared = await sharedDockerEngine();
const engine = (await openEngine(shared))!;
const image = await ensureDefaultImage(engine, () => {});
const dir = mkdtempSync(join(tmpdir(), "berth-perf-"));
const identity = { user: "ann", uid: 20_000, gid: 20_000, groups: [] };
const resources = { cpuMilli: 1000, memoryBytes: 256 * 2 ** 20 };
const epoch = "01930000-0000-7000-8000-00000000be0c";
let last = 0;
let done = 0;

async function throughDriver(): Promise<number> {
  const sink = new MemoryLogSink();
  const options = { engine, clusterId: `perf-${process.pid}`, sink, positions: new Map<string, string>() };
  const driver = dockerDriver({ ...options, logger: silentLogger, startConcurrency: concurrency, defaultImage: image });
  const stop = new AbortController();
  await driver.open(stop.signal);
  const runs = Array.from({ length: count }, (): Run => ({ epoch, taskId: String((last += 1)), attempt: 1 }));
  const tasks = runs.map((run) => {
    const taskDir = join(dir, runName(run));
    mkdirSync(taskDir);
    chownSync(taskDir, identity.uid, identity.gid);
    const place = { taskDir, controlDir: undefined, stdoutPath: "", stderrPath: "", workdir: undefined };
    return {
      run,
      identity,
      image,
      command: ["true"],
      env: {},
      resources,
      mounts: [],
      network: "none" as const,
      ...place,
    };
  });
  const from = performance.now();
  await driver.runTasks(tasks);
  const settling: Promise<void>[] = [];
  for await (const batch of driver.watchTasks(stop.signal)) {
    const ended = batch.filter(({ kind }) => kind !== "started" && kind !== "preparing");
    if (ended.some((event) => event.kind !== "ended" || event.exitCode !== 0)) throw new Error(JSON.stringify(ended));
    if (ended.length > 0) settling.push(driver.settle(ended.map(({ run }) => run)));
    if ((done += ended.length) === count) break;
  }
  await Promise.all(settling);
  const ms = performance.now() - from;
  await driver.close();
  return count / (ms / 1000);
}

async function dockerodeAlone(): Promise<number> {
  const docker = new Docker({ socketPath: shared.socketPath }) as unknown as Dockerode;
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const container = await docker.createContainer({
        Image: image,
        Cmd: ["true"],
        User: "20000:20000",
        HostConfig: { NetworkMode: "none", LogConfig: { Type: "local" }, Memory: resources.memoryBytes },
      });
      await container.start();
      await container.wait();
      await container.inspect();
      await container.remove();
    }
  };
  const from = performance.now();
  await Promise.all(Array.from({ length: concurrency }, worker));
  return count / ((performance.now() - from) / 1000);
}

/** What the plain loop uses of dockerode. */
interface Dockerode {
  createContainer(options: object): Promise<{
    start(): Promise<unknown>;
    wait(): Promise<unknown>;
    inspect(): Promise<unknown>;
    remove(): Promise<unknown>;
  }>;
}

const driverRates: number[] = [];
const plainRates: number[] = [];
try {
  for (let turn = 0; turn < rounds; turn += 1) {
    plainRates.push(await dockerodeAlone());
    done = 0;
    driverRates.push(await throughDriver());
  }
} finally {
  await shared.release();
  rmSync(dir, { recursive: true, force: true });
}
report("containers", {
  containersPerSecond: round(median(driverRates)),
  dockerodeAlonePerSecond: round(median(plainRates)),
  ratio: round(median(driverRates.map((rate, turn) => rate / plainRates[turn]!))),
  concurrency,
  reach: 0.9,
});
