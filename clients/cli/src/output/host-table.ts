import { formatCpu, formatDuration, formatMemory } from "@berth/core";
import { HostStatus } from "@berth/contracts/types";
import type { Host } from "@berth/contracts/types";
import { printTable } from "./print.ts";

/** The hosts, a line each. */
export function printHosts(hosts: readonly Host[]): void {
  const now = Date.now();
  printTable(
    [
      { title: "HOST" },
      { title: "STATUS", flexible: true },
      { title: "DRIVER" },
      { title: "TASKS", align: "right" },
      { title: "CPU USED", align: "right" },
      { title: "MEM USED", align: "right" },
      { title: "HEARD", align: "right" },
      { title: "ENFORCES", flexible: true },
    ],
    hosts.map((host) => [
      host.id,
      statusWords(host),
      host.driver,
      String(host.liveTasks),
      `${formatCpu(host.used?.cpuMilli ?? 0)}/${formatCpu(host.capacity?.cpuMilli ?? 0)}`,
      `${formatMemory(host.used?.memoryBytes ?? 0)}/${formatMemory(host.capacity?.memoryBytes ?? 0)}`,
      host.seenTime ? `${formatDuration(Math.max(0, now - host.seenTime.getTime()))} ago` : "never",
      host.features.join(" "),
    ]),
  );
}

function statusWords(host: Host): string {
  const unknown = host.unknownRuns.length > 0 ? `, ${host.unknownRuns.length} unknown runs` : "";
  if (host.status === HostStatus.UP) return `up${unknown}`;
  return `${host.status === HostStatus.SILENT ? "silent" : "unknown"}${host.reason?.message ? `: ${host.reason.message}` : ""}${unknown}`;
}
