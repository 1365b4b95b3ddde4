import { AppError, formatCpu, formatDuration, formatMemory, runName } from "@berth/core";
import { HostStatus } from "@berth/contracts/types";
import type { Host } from "@berth/contracts/types";
import { print, printTable } from "./print.ts";

/** Prints the hosts, one line per host. */
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

/** Prints everything known of one host, with its unknown runs. */
export function printHost(host: Host): void {
  const lines: readonly (readonly [string, string])[] = [
    ["host", host.id],
    ["status", statusWords(host)],
    ["heard", host.seenTime ? host.seenTime.toISOString() : "never"],
    ["driver", host.driver],
    ["enforces", host.features.join(" ")],
    ["processors", `${formatCpu(host.used?.cpuMilli ?? 0)} of ${formatCpu(host.capacity?.cpuMilli ?? 0)}`],
    ["memory", `${formatMemory(host.used?.memoryBytes ?? 0)} of ${formatMemory(host.capacity?.memoryBytes ?? 0)}`],
    ["tasks", String(host.liveTasks)],
    ["agent", host.version],
    ["journal", host.journalId],
    ["boot", host.bootId],
  ];
  print(lines.map(([name, value]) => `${`${name}:`.padEnd(12)}${value}`).join("\n"));
  if (host.unknownRuns.length === 0) return;
  print("\nRuns that the database does not know; they run on until somebody ends them on the host:\n");
  printTable(
    [{ title: "TASK" }, { title: "ATTEMPT", align: "right" }, { title: "EPOCH" }, { title: "NAME THERE" }],
    host.unknownRuns.map((run) => [run.taskId, String(run.attempt), run.epoch, runName(run)]),
  );
}

/** Throws `not-found` HOST_NOT_FOUND. */
export function findHost(hosts: readonly Host[], id: string): Host {
  const host = hosts.find((each) => each.id === id);
  if (!host) throw new AppError("not-found", "HOST_NOT_FOUND", `there is no host ${id}; berth hosts lists them`);
  return host;
}

/** A refused agent asks every five seconds; this long after the last time it is shown no more. */
const duplicateShownMs = 60_000;

/** A status that the API gains does not compile before it stands here. */
const statusNames: Readonly<Record<HostStatus, string>> = {
  [HostStatus.UP]: "up",
  [HostStatus.SILENT]: "silent",
  [HostStatus.LOST]: "lost",
  [HostStatus.UNSPECIFIED]: "unknown",
  [HostStatus.UNRECOGNIZED]: "unknown",
};

function statusWords(host: Host): string {
  const isDuplicated = host.duplicateTime && Date.now() - host.duplicateTime.getTime() < duplicateShownMs;
  const unknown =
    (host.unknownRuns.length > 0 ? `, ${host.unknownRuns.length} unknown runs` : "") +
    (isDuplicated ? ", another agent uses this name and is refused" : "");
  const name = statusNames[host.status];
  if (host.status === HostStatus.UP) return `${name}${unknown}`;
  const since = host.seenTime ? ` since ${host.seenTime.toISOString().slice(0, 19)}Z` : "";
  return `${name}${since}${host.reason?.message ? `: ${host.reason.message}` : ""}${unknown}`;
}
