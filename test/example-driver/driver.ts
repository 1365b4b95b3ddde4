import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync, statSync } from "node:fs";
import { constants } from "node:os";
import type { Driver, DriverContext, DriverEvent, TaskToRun } from "@berth/plugins";

type Run = TaskToRun["run"];
interface Started {
  readonly run: Run;
  readonly child: ChildProcess;
  readonly startedAt: Date;
  end?: DriverEvent;
}

/**
 * An example of a site's own driver, as small as the contract allows: tasks are child processes of the agent. Name the file, or this package, in `BERTH_DRIVER`. A real
 * driver starts tasks where they outlive the agent: this one finds after `close` and `open` what it started, and nothing after the agent's death.
 */
export function driver({ config, capacity }: DriverContext): Driver {
  const runs = new Map<string, Started>();
  let events: DriverEvent[] = [];
  let wake = (): void => {};
  const keyOf = ({ epoch, taskId, attempt }: Run): string => `${epoch}/${taskId}/${attempt}`;
  const tell = (event: DriverEvent): void => {
    events.push(event);
    wake();
  };

  function start({ run, command: [program = "", ...args], ...task }: TaskToRun): void {
    const key = keyOf(run);
    if (runs.has(key)) return; // a start is told again after a lost answer
    const [stdout, stderr] = [openSync(task.stdoutPath, "a"), openSync(task.stderrPath, "a")];
    const { uid, gid } = task.identity;
    const asRoot = process.getuid?.() === 0;
    const child = spawn(program, args, {
      cwd: task.workdir ?? task.taskDir,
      env: { ...task.env },
      stdio: ["ignore", stdout, stderr],
      detached: true, // a process group of its own, which signals are sent to
      ...(asRoot ? { uid, gid } : {}),
    });
    closeSync(stdout);
    closeSync(stderr);
    const started: Started = { run, child, startedAt: new Date() };
    runs.set(key, started);
    const end = (event: DriverEvent): void => {
      started.end = event;
      tell(event);
    };
    child.once("spawn", () => tell({ kind: "started", run, at: started.startedAt }));
    child.once("error", ({ message }) =>
      end({ kind: "failed", run, at: new Date(), reason: { code: "COMMAND_NOT_FOUND", message } }),
    );
    child.once("exit", (code, signal) =>
      end({
        kind: "ended",
        run,
        startedAt: started.startedAt,
        at: new Date(),
        exitCode: code ?? undefined,
        signal: signal ? constants.signals[signal] : undefined,
        outOfMemory: false,
        usage: { cpuMs: undefined, peakMemoryBytes: undefined },
        stdoutBytes: statSync(task.stdoutPath).size,
        stderrBytes: statSync(task.stderrPath).size,
      }),
    );
  }

  function signal(run: Run, name: NodeJS.Signals): void {
    const started = runs.get(keyOf(run));
    if (started?.child.pid === undefined || started.end) return;
    process.kill(-started.child.pid, name);
  }

  return {
    getName: () => "example",
    features: () => new Set(["suspend"]),
    capacity: () => ({
      cpuMilli: capacity.cpuMilli ?? 1_000 * Number(config["cpus"] ?? 1),
      memoryBytes: capacity.memoryBytes ?? 2 ** 30,
    }),
    async open() {
      events = [];
    },
    async close() {},
    async runTasks(tasks) {
      tasks.forEach(start);
    },
    async runAllTasks(tasks) {
      tasks.forEach(start);
    },
    async *watchTasks(abort) {
      abort.addEventListener("abort", () => wake());
      const found = [...runs.values()];
      yield found.map(({ run, startedAt }) => ({ kind: "found", run, startedAt, suspended: false }) as const);
      events.unshift(...found.flatMap(({ end }) => end ?? []));
      while (!abort.aborted) {
        if (events.length > 0) yield events.splice(0);
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    },
    async killTask(run, name) {
      signal(run, `SIG${name}`);
      signal(run, "SIGCONT");
    },
    async takeBack() {},
    suspendTask: async (run) => signal(run, "SIGSTOP"),
    resumeTask: async (run) => signal(run, "SIGCONT"),
    getMappingPort: async () => undefined,
    usage: async () => undefined,
    async settle(settled) {
      for (const run of settled) runs.delete(keyOf(run));
    },
  };
}
