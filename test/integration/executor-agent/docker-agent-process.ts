import {
  appendFileSync,
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { logPath, runKey } from "@berth/core";
import { dockerDriver } from "@berth/executor-agent/docker";
import { openEngine } from "@berth/executor-agent/docker/engine";
import type { LogSink, TaskToRun } from "@berth/plugins";
import { silentLogger } from "@berth/runtime";

/** A docker driver in a process that a test kills: output and positions in files, as an agent's. Says its events on stdout. */
const { socketPath, clusterId, dir, task } = JSON.parse(process.argv[2]!) as {
  socketPath: string;
  clusterId: string;
  dir: string;
  task?: TaskToRun;
};
const fileOf = (run: Parameters<LogSink["size"]>[0], stream: "stdout" | "stderr"): string =>
  join(dir, logPath(run, stream).replaceAll("/", "_"));
const sink: LogSink = {
  async size(run, stream) {
    const file = openSync(fileOf(run, stream), "a");
    const { size } = fstatSync(file);
    closeSync(file);
    return size;
  },
  async append(run, stream, offset, bytes) {
    const file = openSync(fileOf(run, stream), "a");
    const { size } = fstatSync(file);
    if (size === offset) writeSync(file, bytes);
    closeSync(file);
    return size === offset ? size + bytes.length : size;
  },
};
const positionsFile = join(dir, "positions.json");
const kept = new Map(
  Object.entries(
    existsSync(positionsFile) ? (JSON.parse(readFileSync(positionsFile, "utf8")) as Record<string, string>) : {},
  ),
);
const positions = {
  get: (key: string) => kept.get(key),
  set(key: string, position: string) {
    kept.set(key, position);
    writeFileSync(`${positionsFile}.new`, JSON.stringify(Object.fromEntries(kept)));
    renameSync(`${positionsFile}.new`, positionsFile);
  },
};
const engine = (await openEngine({ socketPath }))!;
const driver = dockerDriver({
  engine,
  clusterId,
  sink,
  positions,
  logger: silentLogger,
  defaultImage: "berth-busybox:1",
});
const never = new AbortController().signal;
await driver.open(never);
if (task) await driver.runTasks([task]);
for await (const batch of driver.watchTasks(never)) {
  for (const event of batch) {
    process.stdout.write(`${JSON.stringify({ ...event, run: runKey(event.run) })}\n`);
    if (event.kind === "ended") appendFileSync(join(dir, "ended"), `${event.stdoutBytes}\n`);
  }
}
