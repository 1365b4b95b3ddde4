import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runName } from "@berth/core";
import { dockerDriver } from "@berth/executor-agent/docker";
import { ensureDefaultImage } from "@berth/executor-agent/docker/default-image";
import { openEngine } from "@berth/executor-agent/docker/engine";
import { silentLogger } from "@berth/runtime";
import { MemoryLogSink, sharedDockerEngine, whyNoDockerEngine } from "@berth/test-support";
import { describe, it } from "vitest";
import { describeDriver } from "./driver-suite.ts";

const shell = (text: string): readonly string[] => ["/bin/sh", "-c", text];
const why = whyNoDockerEngine();

if (why !== undefined) {
  describe("Driver docker", () =>
    it(`NOT RUN: ${why}`, () => {
      if (process.env["CI"]) throw new Error(`a Docker engine is needed: ${why}`);
    }));
} else {
  describeDriver(
    "docker",
    async () => {
      const shared = await sharedDockerEngine();
      const engine = (await openEngine(shared))!;
      const defaultImage = await ensureDefaultImage(engine, () => {});
      const dir = mkdtempSync(join(tmpdir(), "berth-driver-"));
      const sink = new MemoryLogSink();
      const positions = new Map<string, string>();
      return {
        make: () =>
          dockerDriver({
            engine,
            clusterId: `contract-${process.pid}`,
            sink,
            positions,
            logger: silentLogger,
            defaultImage,
          }),
        task: (run, command, more) => {
          const taskDir = join(dir, runName(run));
          mkdirSync(taskDir, { recursive: true });
          chownSync(taskDir, 20_000, 20_000);
          return {
            run,
            command,
            identity: { user: "ann", uid: 20_000, gid: 20_000, groups: [] },
            image: "",
            env: { BERTH_TASK_DIR: taskDir },
            workdir: undefined,
            resources: { cpuMilli: 500, memoryBytes: 256 * 2 ** 20 },
            mounts: [],
            network: "none",
            taskDir,
            controlDir: undefined,
            stdoutPath: "/",
            stderrPath: "/",
            ...more,
          };
        },
        output: async (run) => sink.text(run),
        close: async () => {
          await shared.release();
          rmSync(dir, { recursive: true, force: true });
        },
      };
    },
    {
      succeed: ["true"],
      exit: (code) => shell(`exit ${code}`),
      sleep: (ms) => ["sleep", String(ms / 1000)],
      signalItself: (signal) => shell(`kill -${signal} $$; sleep 1`),
      ignoreTerm: (ms) => shell(`trap "" TERM; sleep ${ms / 1000}`),
      print: (text) => shell(`printf '${text}'`),
      notFound: ["no-such-program"],
    },
  );
}
