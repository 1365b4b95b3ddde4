import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runName } from "@berth/core";
import type { Run } from "@berth/core";
import { findCgroups, processDriver, simDriver } from "@berth/executor-agent";
import { silentLogger } from "@berth/runtime";
import { describeDriver } from "./driver-suite.ts";
import type { Commands } from "./driver-suite.ts";

const GiB = 2 ** 30;
const base = {
  image: "",
  env: {},
  workdir: undefined,
  resources: { cpuMilli: 100, memoryBytes: GiB },
  mounts: [],
  network: "none",
  controlDir: undefined,
} as const;

const simCommands: Commands = {
  succeed: ["sim", "1ms"],
  exit: (code) => ["sim", "1ms", "exit", String(code)],
  sleep: (ms) => ["sim", `${ms}ms`],
  signalItself: (signal) => ["sim", "1ms", "signal", String(signal)],
  ignoreTerm: (ms) => ["sim", `${ms}ms`, "ignore-term"],
};

describeDriver(
  "sim",
  async () => {
    const driver = simDriver({ capacity: { cpuMilli: 8000, memoryBytes: 8 * GiB } });
    return {
      make: () => driver,
      task: (run, command, more) => ({
        ...base,
        run,
        command,
        identity: { user: "ann", uid: 1000, gid: 1000, groups: [] },
        taskDir: "/",
        stdoutPath: "/",
        stderrPath: "/",
        ...more,
      }),
      close: async () => {},
    };
  },
  simCommands,
);

/** They would end by themselves, a minute later. */
function endKeepers(dir: string): void {
  for (const name of readdirSync(dir)) {
    const { pid } = JSON.parse(readFileSync(join(dir, name, "keeper.pid"), "utf8")) as { pid: number };
    process.kill(pid, "SIGKILL");
  }
}

const shell = (text: string): readonly string[] => ["/bin/sh", "-c", text];

describeDriver(
  "process",
  async () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-driver-"));
    chmodSync(dir, 0o777);
    const isRoot = process.getuid?.() === 0;
    const identity = {
      user: "ann",
      uid: isRoot ? 20_000 : process.getuid!(),
      gid: isRoot ? 20_000 : process.getgid!(),
      groups: [],
    };
    const outputOf = (run: Run): string => join(dir, "out", `${runName(run)}.out`);
    return {
      make: () =>
        processDriver({
          dataDir: join(dir, "data"),
          runDir: dir,
          bootId: "boot-one",
          cgroups: findCgroups(join(dir, "data")),
          capacity: (machine) => machine,
          env: { PATH: process.env["PATH"] ?? "" },
          logger: silentLogger,
        }),
      task: (run, command, more) => ({
        ...base,
        run,
        command,
        env: { PATH: "/usr/bin:/bin", BERTH_RUN: runName(run) },
        identity,
        taskDir: join(dir, "work", runName(run)),
        stdoutPath: outputOf(run),
        stderrPath: join(dir, "out", `${runName(run)}.err`),
        ...more,
      }),
      output: async (run) => readFileSync(outputOf(run), "utf8"),
      close: async () => {
        endKeepers(join(dir, "data", "keepers"));
        rmSync(dir, { recursive: true, force: true });
      },
    };
  },
  {
    succeed: ["true"],
    exit: (code) => shell(`exit ${code}`),
    sleep: (ms) => shell(`sleep ${ms / 1000}`),
    signalItself: (signal) => shell(`kill -${signal} $$`),
    ignoreTerm: (ms) => shell(`trap "" TERM; sleep ${ms / 1000}`),
    print: (text) => shell(`printf '${text}'`),
    notFound: ["no-such-program"],
  },
);
