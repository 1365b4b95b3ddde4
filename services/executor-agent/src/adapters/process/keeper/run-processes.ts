import { continueRun, endStrays, sendTo, signalTree, stopRun } from "./process-tree.ts";
import type { AsUser } from "./native.ts";
import type { RunRecord } from "./protocol.ts";
import type { CgroupUse, RunCgroups } from "./run-cgroups.ts";

/** Finds and signals the processes of runs. */
export interface RunProcesses {
  /** Name of a cgroup for a run that is about to start; undefined without cgroups. Throws the system's error if none can be made. */
  reserve(memoryBytes: number): string | undefined;
  /** Calls `spawn`, which returns a pid, or 0 or less if nothing was started. The child belongs to the run from its start. */
  spawnIn(run: RunRecord, spawn: () => number): number;
  signal(run: RunRecord, signal: "TERM" | "KILL"): void;
  stop(run: RunRecord): void;
  continue(run: RunRecord): void;
  /** To be called when the first process has ended, or was not started. Kills the rest of the run, and returns what the run used. */
  end(run: RunRecord): CgroupUse;
  close(): void;
}

/** Processes by cgroup: exact, and tasks cannot change it. */
export function cgroupProcesses(cgroups: RunCgroups): RunProcesses {
  return {
    reserve: (memoryBytes) => cgroups.take(memoryBytes),
    spawnIn: ({ g }, spawn) => (g === undefined ? spawn() : cgroups.spawnIn(g, spawn)),
    signal({ pid, g }, signal) {
      if (pid === undefined) return;
      const cgroup = cgroups.of(g);
      if (signal === "KILL") return cgroup?.kill();
      sendTo(-pid, "SIGTERM");
      cgroup?.signalOutside(pid, "SIGTERM");
    },
    stop: ({ g }) => cgroups.of(g)?.freeze(),
    continue: ({ g }) => cgroups.of(g)?.thaw(),
    end: ({ g }) => (g === undefined ? nothingUsed : cgroups.release(g)),
    close: () => cgroups.close(),
  };
}

const nothingUsed: CgroupUse = { cpuMs: undefined, oomKills: 0 };
const strayDelayMs = 200;

/** Processes by session, ancestry and environment. Signals are sent as the tasks' user, so a pid that another user's process has by now is safe. */
export function processTree(asUser: AsUser, live: () => readonly RunRecord[]): RunProcesses {
  let timer: NodeJS.Timeout | undefined;
  const endStraysSoon = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      try {
        asUser(() => endStrays(live()));
      } catch {
        endStraysSoon(); // no descriptor is free
      }
    }, strayDelayMs);
  };
  return {
    reserve: () => undefined,
    spawnIn: (_run, spawn) => spawn(),
    signal(run, signal) {
      const { pid } = run;
      if (pid === undefined) return;
      asUser(() => {
        if (signal === "KILL") signalTree(run, live(), "SIGKILL");
        sendTo(-pid, `SIG${signal}`);
      });
    },
    stop: (run) => asUser(() => stopRun(run, live())),
    continue: (run) => asUser(() => continueRun(run, live())),
    end({ pid }) {
      if (pid === undefined) return nothingUsed;
      // The rest of a run ends with its first process, as in a container.
      asUser(() => sendTo(-pid, "SIGKILL"));
      endStraysSoon();
      return nothingUsed;
    },
    close: () => clearTimeout(timer),
  };
}
