import { freeCpuMilli, freeMemoryBytes } from "./hosts.ts";
import type { Host } from "./hosts.ts";
import type { TaskProfile } from "./filters.ts";

/** Chooses among hosts that may run a task; the highest score wins. */
export interface Scorer {
  readonly name: string;
  score(task: TaskProfile, host: Host): number;
}

/** Prefers the host that is fullest afterwards, so that large tasks find large gaps. */
export const binpack: Scorer = {
  name: "binpack",
  score(task, host) {
    const capacity = host.facts!.capacity;
    const cpu = (freeCpuMilli(host) - task.needs.cpuMilli) / Math.max(capacity.cpuMilli, 1);
    const memory = (freeMemoryBytes(host) - task.needs.memoryBytes) / Math.max(capacity.memoryBytes, 1);
    return 2 - cpu - memory;
  },
};
