import type { RunStatus } from "@berth/contracts/agent";
import { RunPhase } from "@berth/contracts/agent";
import type { NewTask } from "@berth/contracts/store";
import { HostStatus, Network, OnHostLost, Outcome, TaskSpec } from "@berth/contracts/types";
import type { ArraySpec, Dependency, Host, InputFile, RunSpec } from "@berth/contracts/types";
import { defaultResources } from "@berth/core";

export interface TaskWishes {
  readonly user?: string;
  readonly name?: string;
  readonly project?: string;
  readonly command?: readonly string[];
  readonly cpuMilli?: number;
  readonly memoryBytes?: number;
  readonly priority?: number;
  readonly array?: ArraySpec;
  readonly dependencies?: readonly Dependency[];
  readonly files?: readonly InputFile[];
  readonly env?: Readonly<Record<string, string>>;
  readonly clientKey?: string;
  readonly admin?: boolean;
  readonly traceParent?: string;
  readonly onHostLost?: OnHostLost;
  readonly hostLeaseMs?: number;
}

/** A task as the gateway hands it to storage, with defaults for what a test does not care about. */
export function aNewTask(wishes: TaskWishes = {}): NewTask {
  const user = wishes.user ?? "ada";
  const spec: TaskSpec = {
    ...TaskSpec.decode(new Uint8Array()),
    name: wishes.name ?? "true",
    project: wishes.project ?? "default",
    command: [...(wishes.command ?? ["true"])],
    env: { ...wishes.env },
    resources: {
      cpuMilli: wishes.cpuMilli ?? defaultResources.cpuMilli,
      memoryBytes: wishes.memoryBytes ?? defaultResources.memoryBytes,
    },
    priority: wishes.priority ?? 0,
    array: wishes.array,
    dependencies: [...(wishes.dependencies ?? [])],
    timeLimitMs: 60_000,
    graceMs: 1_000,
    files: [...(wishes.files ?? [])],
    network: Network.NONE,
    onHostLost: wishes.onHostLost ?? OnHostLost.UNSPECIFIED,
    hostLeaseMs: wishes.hostLeaseMs ?? 0,
  };
  const runSpec: RunSpec = {
    spec,
    identity: { user, uid: 20_001, gid: 20_001, groups: [20_001] },
    mounts: [],
    traceParent: wishes.traceParent ?? "",
  };
  return { runSpec, clientKey: wishes.clientKey ?? "", admin: wishes.admin ?? false };
}

export interface HostWishes {
  readonly journalId?: string;
  readonly bootId?: string;
  readonly cpuMilli?: number;
  readonly memoryBytes?: number;
  readonly unknownRuns?: Host["unknownRuns"];
  readonly used?: Host["used"];
}

/** A host as its agent says it. */
export const aHost = (id: string, wishes: HostWishes = {}): Host => ({
  id,
  driver: "sim",
  capacity: { cpuMilli: wishes.cpuMilli ?? 64_000, memoryBytes: wishes.memoryBytes ?? 2 ** 36 },
  used: wishes.used,
  status: HostStatus.UP,
  reason: undefined,
  seenTime: undefined,
  features: ["cpu", "memory"],
  journalId: wishes.journalId ?? `journal-${id}`,
  bootId: wishes.bootId ?? "boot-1",
  version: "0.1.0",
  unknownRuns: wishes.unknownRuns ?? [],
  liveTasks: 0,
});

/** What an agent says of a run; ended ones succeeded after 50 ms, unless told otherwise. */
export function aStatus(
  epoch: string,
  taskId: string,
  attempt: number,
  phase: RunPhase,
  more: Partial<RunStatus> = {},
): RunStatus {
  const base: RunStatus = {
    run: { epoch, taskId, attempt },
    phase,
    detail: "",
    outcome: Outcome.UNSPECIFIED,
    reason: undefined,
    usage: undefined,
    enforced: [],
    traceParent: "",
  };
  if (phase !== RunPhase.ENDED) return { ...base, ...more };
  const ended: RunStatus = {
    ...base,
    startTime: new Date(1_700_000_000_000),
    endTime: new Date(1_700_000_000_050),
    outcome: Outcome.SUCCEEDED,
    exitCode: 0,
    usage: { cpuMs: 20, peakMemoryBytes: 1_000_000, wallMs: 50 },
    logSizes: { stdoutBytes: 0, stderrBytes: 0 },
    enforced: ["memory"],
  };
  return { ...ended, ...more };
}
