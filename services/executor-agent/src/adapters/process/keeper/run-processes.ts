import { continueRun, endStrays, sendTo, signalTree, stopRun } from "./family.ts";
import type { AsUser } from "./native.ts";
import type { KeptRun } from "./protocol.ts";
import type { CgroupUse, RunCgroups } from "./run-cgroups.ts";

/** The processes of runs: which are of a run, and what is sent to them. */
export interface RunProcesses {
  /** Name of a cgroup for a run that is about to start; undefined where runs have none. Throws the system's error where none can be made. */
  reserve(memoryBytes: number): string | undefined;
  /** Calls `spawn`, which answers a pid or less than 0; the child is the run's from its beginning. */
  spawnIn(run: KeptRun, spawn: () => number): number;
  signal(run: KeptRun, signal: "TERM" | "KILL"): void;
  stop(run: KeptRun): void;
  continue(run: KeptRun): void;
  /** Its first process has ended, or it was not started: ends what is left of it, and says what it used. */
  end(run: KeptRun): CgroupUse;
  close(): void;
}

/** Membership by cgroup: exact, and out of the tasks' reach. */
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

/** Membership without cgroups: by session, ancestry and what a process says of itself. Signals are sent as the tasks' user, so that a pid that is another user's by now is safe. */
export function processTree(asUser: AsUser, live: () => readonly KeptRun[]): RunProcesses {
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
      // One task is one computation: what it left running ends with it, as in a container.
      asUser(() => sendTo(-pid, "SIGKILL"));
      endStraysSoon();
      return nothingUsed;
    },
    close: () => clearTimeout(timer),
  };
}
