import { randomUUID } from "node:crypto";
import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runKey, runName } from "@berth/core";
import type { Run } from "@berth/core";
import { dockerDriver } from "@berth/executor-agent/docker";
import type { DockerDriverOptions } from "@berth/executor-agent/docker/options";
import { ensureDefaultImage } from "@berth/executor-agent/docker/default-image";
import { openEngine } from "@berth/executor-agent/docker/engine";
import type { Driver, DriverEvent, TaskToRun } from "@berth/plugins";
import { silentLogger } from "@berth/runtime";
import { MemoryLogSink } from "@berth/test-support";

type Kind = DriverEvent["kind"];
type End = Extract<DriverEvent, { kind: "ended" | "failed" | "unable" | "lost" }>;

/** A driver on a test's engine, with what it needs around it. */
export class DockerBench {
  readonly clusterId = `bench-${process.pid}-${Math.floor(Math.random() * 1e6)}`;
  readonly dir = mkdtempSync(join(tmpdir(), "berth-bench-"));
  readonly sink = new MemoryLogSink();
  readonly positions = new Map<string, string>();
  readonly events: DriverEvent[] = [];
  readonly socketPath: string;
  driver!: Driver;
  #reading: Promise<void> | undefined;
  #stop = new AbortController();
  #waiting: (() => void)[] = [];
  /** For the next open. */
  options: Partial<DockerDriverOptions> = {};
  #last = 0;
  /** Containers have their names of it, and two files of tests may use one engine. */
  readonly #epoch = randomUUID();

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  async open(): Promise<void> {
    const engine = (await openEngine({ socketPath: this.socketPath }))!;
    const { clusterId, sink, positions } = this;
    const defaultImage = await ensureDefaultImage(engine, () => {});
    this.driver = dockerDriver({
      engine,
      clusterId,
      sink,
      positions,
      logger: silentLogger,
      defaultImage,
      ...this.options,
    });
    this.#stop = new AbortController();
    await this.driver.open(this.#stop.signal);
    this.#reading = this.#read();
  }

  /** As an agent's end; what runs runs on. */
  async close(): Promise<void> {
    await this.driver.close();
    this.#stop.abort(new Error("closed"));
    await this.#reading;
  }

  /** Ends and removes all that is left of it. */
  async dispose(): Promise<void> {
    const started = new Map(this.events.map(({ run }) => [runKey(run), run]));
    for (const run of started.values()) await this.driver.killTask(run, "KILL").catch(() => {});
    await this.driver.settle([...started.values()]);
    await this.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  newRun(): Run {
    return { epoch: this.#epoch, taskId: String((this.#last += 1)), attempt: 1 };
  }

  task(command: readonly string[], more: Partial<TaskToRun> = {}): TaskToRun {
    const run = more.run ?? this.newRun();
    const taskDir = join(this.dir, runName(run));
    mkdirSync(taskDir, { recursive: true });
    chownSync(taskDir, 20_000, 20_000);
    return {
      run,
      command,
      identity: { user: "ann", uid: 20_000, gid: 20_000, groups: [20_001] },
      image: "",
      env: { BERTH_TASK_DIR: taskDir, HOME: taskDir },
      workdir: undefined,
      resources: { cpuMilli: 500, memoryBytes: 64 * 2 ** 20 },
      mounts: [],
      network: "none",
      taskDir,
      controlDir: undefined,
      stdoutPath: "",
      stderrPath: "",
      ...more,
    };
  }

  async run(command: readonly string[] | string, more: Partial<TaskToRun> = {}): Promise<Run> {
    const task = this.task(typeof command === "string" ? ["/bin/sh", "-c", command] : command, more);
    await this.driver.runTasks([task]);
    return task.run;
  }

  /** The first such event of a run, past or to come. */
  async until<K extends Kind>(run: Run, ...kinds: K[]): Promise<Extract<DriverEvent, { kind: K }>> {
    for (;;) {
      const found = this.of(run).find(({ kind }) => (kinds as Kind[]).includes(kind));
      if (found) return found as Extract<DriverEvent, { kind: K }>;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  end(run: Run): Promise<End> {
    return this.until(run, "ended", "failed", "unable", "lost");
  }

  of(run: Run): DriverEvent[] {
    return this.events.filter((event) => runKey(event.run) === runKey(run));
  }

  async #read(): Promise<void> {
    for await (const batch of this.driver.watchTasks(this.#stop.signal)) {
      this.events.push(...batch);
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }
}
