import { MiB, runName } from "@berth/core";
import type { Run } from "@berth/core";
import type { TaskToRun } from "@berth/plugins";

/** Paths inside a container. */
export const inside = { taskDir: "/berth/task", arrayDir: "/berth/array", controlDir: "/berth/control" } as const;

/** Facts of the engine and the site that decide how a container is made. */
export interface ContainerSite {
  readonly clusterId: string;
  /** Rootless: there is one user only, who is 0:0 inside. */
  readonly rootless: boolean;
  /** Limits that the engine enforces. */
  readonly limits: { readonly memory: boolean; readonly cpu: boolean; readonly pids: boolean };
  readonly cpus: number;
  /** A small init reaps zombies, and gives TERM its usual meaning to a program that is process 1. */
  readonly init: boolean;
  /** Parent of the run's cgroup, whose counters outlive the container; undefined: the engine's own. */
  readonly cgroupParent: ((run: Run) => string) | undefined;
  readonly pidsLimit: number;
  /** The engine's log, which holds output while no agent reads it. */
  readonly logBuffer: { readonly maxBytes: number; readonly files: number };
}

export const labelsOf = (clusterId: string, run: Run): Readonly<Record<string, string>> => ({
  "berth.cluster": clusterId,
  "berth.epoch": run.epoch,
  "berth.task": run.taskId,
  "berth.attempt": String(run.attempt),
});

/** Label of a run with a lease. Only the agent freezes a container, so an agent that lost its journal must know that the run has one. */
const leased: Readonly<Record<string, string>> = { "berth.lease": "yes" };

export const isLeased = (labels: Readonly<Record<string, string>> | null): boolean => labels?.["berth.lease"] === "yes";

/** The run of a container of this cluster; undefined for other containers. */
export function runOf(clusterId: string, labels: Readonly<Record<string, string>> | null): Run | undefined {
  const {
    "berth.cluster": cluster,
    "berth.epoch": epoch,
    "berth.task": taskId,
    "berth.attempt": attempt,
  } = labels ?? {};
  if (cluster !== clusterId || !epoch || !taskId || !/^[1-9]\d*$/.test(attempt ?? "")) return undefined;
  return { epoch, taskId, attempt: Number(attempt) };
}

/** The least memory that engine 20.10 accepts. */
const leastMemoryBytes = 6 * MiB;

/** The engine's body of a create. Mount sources are resolved and checked before. */
export function containerBody(task: TaskToRun, site: ContainerSite, mounts: TaskToRun["mounts"]): object {
  const { identity, resources, env } = task;
  const arrayDir = env["BERTH_ARRAY_DIR"];
  const memoryBytes = Math.max(resources.memoryBytes, leastMemoryBytes);
  return {
    Image: task.image,
    Entrypoint: [],
    Cmd: task.command.map((word) => moved(word, task.controlDir, inside.controlDir)),
    Env: Object.entries(environment(task)).map(([name, value]) => `${name}=${value}`),
    WorkingDir: task.workdir === undefined ? inside.taskDir : moved(task.workdir, task.taskDir, inside.taskDir),
    User: site.rootless ? "0:0" : `${identity.uid}:${identity.gid}`,
    Labels: { ...labelsOf(site.clusterId, task.run), ...(task.leaseUntilBootMs === undefined ? {} : leased) },
    Hostname: hostname(task.run),
    Tty: false,
    OpenStdin: false,
    StopSignal: "SIGTERM",
    NetworkDisabled: false,
    HostConfig: {
      Init: site.init,
      NetworkMode: task.network,
      // Not Binds: those make a directory where the source is missing, and cannot hold a colon.
      Mounts: [
        bind(task.taskDir, inside.taskDir, false),
        ...(arrayDir === undefined || arrayDir === task.taskDir ? [] : [bind(arrayDir, inside.arrayDir, true)]),
        ...(task.controlDir === undefined ? [] : [bind(task.controlDir, inside.controlDir, true)]),
        ...mounts.map(({ source, target, readOnly }) => bind(source, target, readOnly)),
      ],
      GroupAdd: site.rootless ? [] : identity.groups.map(String),
      ...(site.limits.cpu
        ? { NanoCpus: Math.min(Math.max(resources.cpuMilli, 10), site.cpus * 1000) * 1_000_000 }
        : {}),
      // No swap: the kernel kills a task over its memory limit, instead of letting it slow the host down.
      ...(site.limits.memory ? { Memory: memoryBytes, MemorySwap: memoryBytes } : {}),
      ...(site.limits.pids ? { PidsLimit: site.pidsLimit } : {}),
      ...(site.cgroupParent ? { CgroupParent: site.cgroupParent(task.run) } : {}),
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      IpcMode: "private",
      // The limit of open files is the engine's: a larger one than it may set would fail every start.
      Ulimits: [{ Name: "core", Soft: 0, Hard: 0 }],
      RestartPolicy: { Name: "no" },
      LogConfig: {
        Type: "local",
        Config: {
          "max-size": `${site.logBuffer.maxBytes}`,
          "max-file": String(site.logBuffer.files),
          compress: "false",
        },
      },
    },
  };
}

const bind = (source: string, target: string, readOnly: boolean): object => ({
  Type: "bind",
  Source: source,
  Target: target,
  ReadOnly: readOnly,
});

/** A host name with dots would be a domain. */
const hostname = (run: Run): string => runName(run).replaceAll(".", "-").slice(0, 63);

/** The default PATH, of the agent as of docker. Left out, so that the image's own PATH applies. */
const plainPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Translates the variables that hold paths of this host into paths inside the container. */
function environment(task: TaskToRun): Readonly<Record<string, string>> {
  const env: Record<string, string> = { ...task.env };
  if (env["PATH"] === plainPath) delete env["PATH"];
  for (const name of ["BERTH_TASK_DIR", "HOME", "GODOCKER_PWD", "GODOCKER_HOME"]) {
    if (env[name] !== undefined) env[name] = moved(env[name], task.taskDir, inside.taskDir);
  }
  const arrayDir = task.env["BERTH_ARRAY_DIR"];
  if (arrayDir !== undefined) env["BERTH_ARRAY_DIR"] = arrayDir === task.taskDir ? inside.taskDir : inside.arrayDir;
  return env;
}

/** A path at or under `from`, as the same under `to`. */
function moved(path: string, from: string | undefined, to: string): string {
  if (from === undefined || path === from) return from === undefined ? path : to;
  return path.startsWith(`${from}/`) ? to + path.slice(from.length) : path;
}
