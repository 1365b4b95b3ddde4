import { formatCpu, formatMemory } from "@berth/core";
import type { Resources } from "@berth/core";

/** A warning for a task that fits none of the largest hosts; undefined if a host could take it, or none is known. */
export function tooLargeWarning(needs: Resources, largest: readonly Resources[]): string | undefined {
  if (largest.length === 0) return undefined;
  if (largest.some((host) => host.cpuMilli >= needs.cpuMilli && host.memoryBytes >= needs.memoryBytes))
    return undefined;
  const sizes = largest.slice(0, 3).map(size).join(", another ");
  return `no known host could take it: it asks for ${size(needs)}; the largest host has ${sizes}. It is rejected unless a larger host joins`;
}

const size = ({ cpuMilli, memoryBytes }: Resources): string =>
  `${formatCpu(cpuMilli)} cpu and ${formatMemory(memoryBytes)}`;
