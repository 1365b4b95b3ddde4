import { formatCpu, formatMemory } from "@berth/core";
import type { Resources } from "@berth/core";
import { freeCpuMilli, freeMemoryBytes, isRestingFor, missingFeatures } from "./hosts.ts";
import type { Host, Hosts } from "./hosts.ts";

/** What a filter sees of a task: the properties that its whole shape shares. */
export interface TaskProfile {
  readonly user: string;
  readonly needs: Resources;
  readonly avoidHosts: readonly string[];
}

/** One reason why a host may not run a task. */
export interface Filter {
  readonly name: string;
  /** False if the filter cannot refuse this task on any host. */
  applies(task: TaskProfile): boolean;
  passes(task: TaskProfile, host: Host): boolean;
  /** Explains to the user that this filter refused `count` hosts. */
  explain(count: number, task: TaskProfile): string;
}

const hosts = (count: number): string => (count === 1 ? "1 host" : `${count} hosts`);

export const up: Filter = {
  name: "up",
  applies: () => true,
  passes: (_, host) => host.facts?.up === true,
  explain: (count) => `${hosts(count)} not heard of for a while`,
};

export const notResting: Filter = {
  name: "resting",
  applies: () => true,
  passes: (task, host) => host.restUntilMs === 0 && !isRestingFor(host, task.user),
  explain: (count) => `${hosts(count)} refused tasks a moment ago and ${count === 1 ? "rests" : "rest"}`,
};

export const enoughCpu: Filter = {
  name: "cpu",
  applies: (task) => task.needs.cpuMilli > 0,
  passes: (task, host) => freeCpuMilli(host) >= task.needs.cpuMilli,
  explain: (count, task) => `${hosts(count)} with less than ${formatCpu(task.needs.cpuMilli)} cpu free`,
};

export const enoughMemory: Filter = {
  name: "memory",
  applies: (task) => task.needs.memoryBytes > 0,
  passes: (task, host) => freeMemoryBytes(host) >= task.needs.memoryBytes,
  explain: (count, task) => `${hosts(count)} with less than ${formatMemory(task.needs.memoryBytes)} memory free`,
};

export const notFailedHere: Filter = {
  name: "failed here before",
  applies: (task) => task.avoidHosts.length > 0,
  passes: (task, host) => !task.avoidHosts.includes(host.id),
  explain: (count) => `${hosts(count)} where it failed before by a fault of the system`,
};

/** The shape to filter by. It avoids hosts where a task failed only if another host is large enough; otherwise a host that has rested may try again. */
export const withoutAvoiding = (shape: TaskProfile, among: Hosts): TaskProfile =>
  shape.avoidHosts.length === 0 || among.anyOtherLargeEnough(shape.avoidHosts, shape.needs)
    ? shape
    : { user: shape.user, needs: shape.needs, avoidHosts: [] };

/** Hosts whose driver lacks what this site requires. */
const withFeatures = (required: readonly string[]): Filter => ({
  name: "driver",
  applies: () => required.length > 0,
  passes: (_, host) => missingFeatures(host, required).length === 0,
  explain: (count) => `${hosts(count)} whose driver lacks one of: ${required.join(", ")}`,
});

/** Whether the filter refuses for lack of free capacity. */
export const isOfCapacity = (filter: Filter): boolean => filter === enoughCpu || filter === enoughMemory;

/** In this order: a host counts for the first filter that refuses it. */
export const standardFilters: readonly Filter[] = [up, notResting, notFailedHere, enoughCpu, enoughMemory];

/** The filters of a site that requires features of its drivers. */
export const filtersFor = (requiredFeatures: readonly string[]): readonly Filter[] =>
  requiredFeatures.length === 0 ? standardFilters : [up, withFeatures(requiredFeatures), ...standardFilters.slice(1)];

/** The passing hosts, and why the others were refused, most frequent reason first. Checks every host, so it is for explanations only. */
export function eligible(
  task: TaskProfile,
  among: Iterable<Host>,
  filters: readonly Filter[],
): { passing: Host[]; refusals: string[] } {
  const asked = filters.filter((filter) => filter.applies(task));
  const refused = new Map<Filter, number>();
  const passing: Host[] = [];
  for (const host of among) {
    const refusing = asked.find((filter) => !filter.passes(task, host));
    if (refusing) refused.set(refusing, (refused.get(refusing) ?? 0) + 1);
    else passing.push(host);
  }
  const refusals = [...refused].toSorted((a, b) => b[1] - a[1]).map(([filter, count]) => filter.explain(count, task));
  return { passing, refusals };
}
