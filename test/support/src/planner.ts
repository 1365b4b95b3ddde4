import { GiB, MiB } from "@berth/core";
import type { FeedRow, HostFacts, TaskFacts } from "@berth/scheduler";

let lastRevision = 0;

/** A pending task of one processor and 256 MiB, with a newer revision than all before. */
export const aTaskRow = (id: string, facts: Partial<TaskFacts> = {}): FeedRow & { kind: "task" } => ({
  kind: "task",
  task: {
    id,
    revision: ++lastRevision,
    user: "ada",
    project: "default",
    state: "pending",
    attempt: 0,
    hostId: "",
    reason: "",
    outcome: undefined,
    needs: { cpuMilli: 1000, memoryBytes: 256 * MiB },
    priority: 0,
    dependencies: [],
    createdAtMs: 0,
    array: undefined,
    avoidHosts: [],
    ...facts,
  },
});

/** A host of four processors and 8 GiB that is up. */
export const aHostRow = (id: string, facts: Partial<HostFacts> = {}): FeedRow & { kind: "host" } => ({
  kind: "host",
  host: {
    id,
    revision: ++lastRevision,
    up: true,
    journalId: `journal-${id}`,
    capacity: { cpuMilli: 4000, memoryBytes: 8 * GiB },
    unknownUse: { cpuMilli: 0, memoryBytes: 0 },
    features: ["memory", "cpu"],
    ...facts,
  },
});
