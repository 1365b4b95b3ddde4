import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MiB, runKey, runName } from "@berth/core";
import type { Run } from "@berth/core";
import { findCgroups, processDriver } from "@berth/executor-agent";
import type { HostCgroups } from "@berth/executor-agent";
import type { Driver, DriverEvent, TaskToRun } from "@berth/plugins";
import { silentLogger } from "@berth/runtime";

export const isRoot = process.getuid?.() === 0;
const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const ann = { user: "ann", ...(isRoot ? { uid: 20_001, gid: 20_001 } : self), groups: isRoot ? [20_100, 20_200] : [] };
export const bob = { user: "bob", uid: 20_002, gid: 20_002, groups: [] };
/** What another run of these tests left behind has other names. */
const epoch = `01930000-0000-7000-8000-0000${randomBytes(4).toString("hex")}`;
let lastTask = 0;

/** A host with the process driver on a directory of its own, whose agent comes and goes. */
export class Host {
  readonly dir = mkdtempSync(join(tmpdir(), "berth-process-"));
  readonly #bootId: string;
  /** Where runs have their cgroups; tests may set others, or none, before `open`. */
  cgroups: HostCgroups | undefined;
  driver!: Driver;
  events: DriverEvent[] = [];
  #stop = new AbortController();
  #reading: Promise<void> = Promise.resolve();
  #waiting: (() => void)[] = [];

  constructor(bootId = "boot-one") {
    this.#bootId = bootId;
    chmodSync(this.dir, 0o777);
    this.cgroups = findCgroups(join(this.dir, "data"));
  }

  async open(): Promise<readonly DriverEvent[]> {
    this.driver = processDriver({
      dataDir: join(this.dir, "data"),
      runDir: this.dir,
      bootId: this.#bootId,
      cgroups: this.cgroups,
      capacity: (machine) => machine,
      env: { PATH: process.env["PATH"] ?? "" },
      logger: silentLogger,
    });
    this.events = [];
    this.#stop = new AbortController();
    await this.driver.open(this.#stop.signal);
    const first = Promise.withResolvers<readonly DriverEvent[]>();
    this.#reading = this.#read(first.resolve);
    return first.promise;
  }

  async #read(onFirst: (batch: readonly DriverEvent[]) => void): Promise<void> {
    for await (const batch of this.driver.watchTasks(this.#stop.signal)) {
      onFirst(batch);
      this.events.push(...batch);
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error("closed"));
    await this.#reading;
    await this.driver.close();
  }

  task(command: string, more: Partial<TaskToRun> = {}): TaskToRun {
    const run: Run = { epoch, taskId: String((lastTask += 1)), attempt: 1 };
    return {
      run,
      identity: ann,
      image: "",
      command: ["/bin/sh", "-c", command],
      env: { PATH: "/usr/bin:/bin", BERTH_RUN: runName(run) },
      workdir: undefined,
      resources: { cpuMilli: 100, memoryBytes: 1024 * MiB },
      mounts: [],
      network: "none",
      taskDir: join(this.dir, `${more.identity?.uid ?? ann.uid}`, run.taskId, "work"),
      controlDir: undefined,
      stdoutPath: join(this.dir, `${more.identity?.uid ?? ann.uid}`, run.taskId, "out"),
      stderrPath: join(this.dir, `${more.identity?.uid ?? ann.uid}`, run.taskId, "err"),
      ...more,
    };
  }

  async run(command: string, more?: Partial<TaskToRun>): Promise<TaskToRun> {
    const task = this.task(command, more);
    await this.driver.runTasks([task]);
    return task;
  }

  async until<K extends DriverEvent["kind"]>(
    { run }: TaskToRun,
    ...kinds: K[]
  ): Promise<Extract<DriverEvent, { kind: K }>> {
    for (;;) {
      const found = this.events.find(
        (event) => runKey(event.run) === runKey(run) && (kinds as string[]).includes(event.kind),
      );
      if (found) return found as Extract<DriverEvent, { kind: K }>;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  output = ({ stdoutPath }: TaskToRun): string => readFileSync(stdoutPath, "utf8");

  /** A line that a task prints when it is ready to be disturbed. */
  async printed(task: TaskToRun, text: string): Promise<void> {
    await until(() => existsSync(task.stdoutPath) && this.output(task).includes(text));
  }

  get keepers(): number[] {
    const folder = join(this.dir, "data", "keepers");
    return existsSync(folder)
      ? readdirSync(folder).map(
          (name) => (JSON.parse(readFileSync(join(folder, name, "keeper.pid"), "utf8")) as { pid: number }).pid,
        )
      : [];
  }

  async killKeepers(): Promise<void> {
    for (const pid of this.keepers) {
      process.kill(pid, "SIGKILL");
      await until(() => !isThere(pid));
    }
  }
}

/** Resolves once it is so; rejects after that time. */
export async function until(isSo: () => boolean, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`waited too long for ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Whether a process is there, and not only its exit status. */
export function isThere(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

/** Whether all processes of a run are stopped by signals, or frozen by their cgroups. D: it waits for a child that was stopped between its making and its program. */
export const isStopped = (run: Run): boolean => {
  const pids = pidsOf(run);
  const states = statesOf(run);
  return (
    (pids.length > 0 && pids.every(isFrozen)) ||
    (states.includes("T") && states.every((state) => state === "T" || state === "D"))
  );
};

/** States of a run's processes, as the system words them. */
export function statesOf(run: Run): string[] {
  return pidsOf(run).flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      return stat.slice(stat.lastIndexOf(")") + 2).split(" ", 1);
    } catch {
      return []; // gone
    }
  });
}

/** Processes that say they are of a run. */
export function pidsOf(run: Run): number[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`BERTH_RUN=${runName(run)}\0`)
        ? [Number(pid)]
        : [];
    } catch {
      return []; // no process, or gone
    }
  });
}

/** By its cgroup, of whichever version. */
function isFrozen(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, "utf8")
      .split("\n")
      .some((line) => {
        const [, name, path = ""] = line.split(":");
        if (name === "freezer") return readIfThere(`/sys/fs/cgroup/freezer${path}/freezer.state`) === "FROZEN\n";
        return (
          name === "" &&
          ["", "/unified"].some((at) => readIfThere(`/sys/fs/cgroup${at}${path}/cgroup.freeze`) === "1\n")
        );
      });
  } catch {
    return false; // gone
  }
}

const readIfThere = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "");
