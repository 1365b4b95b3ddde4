import type { Resources } from "@berth/core";
import type { Hosts } from "./hosts.ts";

/** The capacities of hosts that no other host exceeds in both amounts, by cpu. A task that fits none of them can never run. */
export function largestHosts(hosts: Hosts): Resources[] {
  const all = [...hosts.known()].map((host) => host.facts!.capacity);
  all.sort((a, b) => b.cpuMilli - a.cpuMilli || b.memoryBytes - a.memoryBytes);
  const largest: Resources[] = [];
  for (const one of all) if (one.memoryBytes > (largest.at(-1)?.memoryBytes ?? -1)) largest.push(one);
  return largest;
}
