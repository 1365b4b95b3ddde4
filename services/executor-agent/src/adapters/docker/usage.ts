import { existsSync, readdirSync, rmdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { release } from "node:os";
import { runName } from "@berth/core";
import type { Run } from "@berth/core";
import type { RunUsage } from "@berth/plugins";
import type { EngineClient, EngineFacts } from "./engine-client.ts";

/** Reads what runs use. */
export interface UsageMeter {
  /** Parent cgroup for a run's container; undefined if the engine chooses. */
  readonly cgroupParent: ((run: Run) => string) | undefined;
  /** Whether usage is exact at the end of every run. If not, it comes from samples, which short runs have none of. */
  readonly exact: boolean;
  /** Features that this meter provides. */
  readonly measures: readonly ("cpu_time" | "peak_memory")[];
  /** What a run uses now; after its end, its total. */
  read(run: Run, containerId: string): Promise<RunUsage>;
  /** How many of its processes the kernel killed at its memory limit. Undefined if that cannot be read, for example for an ended container with cgroup version 1. */
  oomKills(run: Run, containerId: string): Promise<number | undefined>;
  /** Removes the run's cgroups. */
  forget(run: Run): void;
  /** Removes the cgroups of all other runs, which an operator or a dead engine left. */
  keepOnly(runs: Iterable<Run>): void;
}

/**
 * The engine removes a container's cgroup, with its counters, before the agent hears of the end. With the cgroupfs driver on this machine each run therefore gets a
 * parent cgroup of its own, which has the same counters and stays. With systemd's driver or an engine in a virtual machine only the engine's statistics are there.
 */
export function usageMeter(
  client: EngineClient,
  facts: EngineFacts,
  clusterId: string,
  local: boolean,
  root = "/sys/fs/cgroup",
): UsageMeter {
  const hierarchies = local && facts.CgroupDriver === "cgroupfs" ? hierarchiesAt(root) : [];
  return hierarchies.length > 0
    ? cgroupMeter(hierarchies, facts.CgroupVersion === "2", clusterId)
    : statisticsMeter(client);
}

/** Cgroup version 2 has one hierarchy, version 1 one per controller. */
function hierarchiesAt(root: string): readonly string[] {
  if (existsSync(`${root}/cgroup.controllers`)) return [root];
  try {
    return readdirSync(root, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [`${root}/${entry.name}`] : [],
    );
  } catch {
    return [];
  }
}

function cgroupMeter(hierarchies: readonly string[], unified: boolean, clusterId: string): UsageMeter {
  const base = `/berth/${clusterId}`;
  const path = (run: Run): string => `${base}/${runName(run)}`;
  const controller = (name: string): string =>
    hierarchies.find((hierarchy) => hierarchy.split("/").at(-1)!.split(",").includes(name)) ?? hierarchies[0]!;
  const [cpu, memory] = unified
    ? ([
        (run: Run) => `${hierarchies[0]}${path(run)}/cpu.stat`,
        (run: Run) => `${hierarchies[0]}${path(run)}/memory.peak`,
      ] as const)
    : ([
        (run: Run) => `${controller("cpuacct")}${path(run)}/cpuacct.usage`,
        (run: Run) => `${controller("memory")}${path(run)}/memory.max_usage_in_bytes`,
      ] as const);
  const remove = (name: string): void => {
    for (const hierarchy of hierarchies) removeCgroup(`${hierarchy}${name}`);
  };
  return {
    cgroupParent: path,
    exact: true,
    measures: unified && !hasMemoryPeak(release()) ? ["cpu_time"] : ["cpu_time", "peak_memory"],
    async read(run) {
      const [cpuText, peakText] = await Promise.all([text(cpu(run)), text(memory(run))]);
      const cpuUs = unified
        ? Number(/^usage_usec (\d+)$/m.exec(cpuText ?? "")?.[1] ?? NaN)
        : cpuText === undefined
          ? NaN
          : Number(cpuText) / 1000;
      return {
        cpuMs: Number.isFinite(cpuUs) ? Math.round(cpuUs / 1000) : undefined,
        peakMemoryBytes: peakText === undefined || !/^\d+\s*$/.test(peakText) ? undefined : Number(peakText),
      };
    },
    async oomKills(run, containerId) {
      // Version 2 counts it in all parents too, version 1 only in the container's own cgroup.
      const counters = unified
        ? await text(`${hierarchies[0]}${path(run)}/memory.events`)
        : await text(`${controller("memory")}${path(run)}/${containerId}/memory.oom_control`);
      const count = /^oom_kill (\d+)$/m.exec(counters ?? "")?.[1];
      return count === undefined ? undefined : Number(count);
    },
    forget: (run) => remove(path(run)),
    keepOnly(runs) {
      const kept = new Set([...runs].map(runName));
      const there = new Set(hierarchies.flatMap((hierarchy) => children(`${hierarchy}${base}`)));
      for (const name of there) if (!kept.has(name)) remove(`${base}/${name}`);
      if (kept.size > 0) return;
      for (const hierarchy of hierarchies) {
        removeCgroup(`${hierarchy}${base}`);
        if (children(`${hierarchy}/berth`).length === 0) removeCgroup(`${hierarchy}/berth`);
      }
    },
  };
}

/** Version 2's memory.peak came with Linux 5.19. */
export function hasMemoryPeak(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split(".").map(Number);
  return major > 5 || (major === 5 && minor >= 19);
}

/** Removes the cgroup and its children. Fails while a process is in it. */
function removeCgroup(path: string): void {
  for (const name of children(path)) removeCgroup(`${path}/${name}`);
  try {
    rmdirSync(path);
  } catch {
    // Either it was not made in this hierarchy, or the engine is still removing a container; the next look retries.
  }
}

function children(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    return [];
  }
}

const text = (path: string): Promise<string | undefined> => readFile(path, "utf8").catch(() => undefined);

function statisticsMeter(client: EngineClient): UsageMeter {
  return {
    cgroupParent: undefined,
    exact: false,
    measures: [],
    async read(_run, containerId) {
      const stats = (await client.stats(containerId).catch(() => undefined)) as
        | { cpu_stats?: { cpu_usage?: { total_usage?: number } }; memory_stats?: { max_usage?: number } }
        | undefined;
      const cpuNs = stats?.cpu_stats?.cpu_usage?.total_usage;
      // Statistics of cgroup version 2 have no peak. The largest sample would be too low, so the peak stays unknown.
      return {
        cpuMs: cpuNs ? Math.round(cpuNs / 1e6) : undefined,
        peakMemoryBytes: stats?.memory_stats?.max_usage || undefined,
      };
    },
    oomKills: async () => undefined,
    forget() {},
    keepOnly() {},
  };
}

/** Merges two readings of a run: the later one, with gaps filled from the earlier one. */
export const laterUsage = (earlier: RunUsage | undefined, later: RunUsage): RunUsage => ({
  cpuMs: later.cpuMs ?? earlier?.cpuMs,
  peakMemoryBytes: later.peakMemoryBytes ?? earlier?.peakMemoryBytes,
});
