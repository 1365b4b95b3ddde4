import { readFileSync } from "node:fs";
import { stateNames } from "@berth/contracts";
import { GetStatusResponse } from "@berth/contracts/api";
import type { Command } from "commander";
import { describeFault, readFaults } from "@berth/local/faults";
import type { ServiceFault } from "@berth/local/faults";
import { defaultDataDir, layoutOf } from "@berth/local/layout";
import { findConnection, withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { printHosts } from "../output/host-table.ts";
import { note, print, printJson, printTable } from "../output/print.ts";

/** Archived tasks are not counted. */
const states = stateNames.filter((state) => state !== "archived");

export function register(program: Command, caller: Caller): void {
  program
    .command("status")
    .description("Shows services, hosts and queue in one screen. Exit code 0 only if all is well.")
    .option("--json", "answer in JSON")
    .action(async (options: { json?: boolean }) => {
      const faults = localFaults(caller).map(describeFault);
      const status = await withBerth(caller, (berth) => berth.hosts.getStatus({})).catch((error: unknown) => {
        for (const fault of faults) note(`berth: ${fault}`);
        throw error;
      });
      if (options.json) printJson({ ...(GetStatusResponse.toJSON(status) as object), supervisor: faults });
      else show(findConnection(caller).server, status, faults);
      process.exitCode = status.ok && faults.length === 0 ? 0 : 1;
    });
}

/** What the supervisor of this machine reports, where its cluster is the one that is asked. */
function localFaults(caller: Caller): ServiceFault[] {
  const layout = layoutOf(defaultDataDir(caller.env));
  const { server } = findConnection(caller);
  try {
    const { server: own } = JSON.parse(readFileSync(layout.clientFile, "utf8")) as { server?: string };
    return own === server ? readFaults(layout) : [];
  } catch {
    return []; // no cluster here, or another user's
  }
}

function show(
  server: string,
  { ok, services, hosts, tasks, version }: GetStatusResponse,
  faults: readonly string[],
): void {
  print(`${server}  berth ${version}  ${ok && faults.length === 0 ? "all is well" : "not all is well"}\n`);
  printTable(
    [{ title: "SERVICE" }, { title: "STATUS" }, { title: "DETAIL", flexible: true }],
    services.map((service) => [
      service.name,
      service.ok ? (service.problems.length > 0 ? "problems" : "ok") : "down",
      service.detail,
    ]),
  );
  print("");
  if (faults.length > 0) print(`${faults.join("\n")}\n`);
  if (hosts.length > 0) printHosts(hosts);
  else print("no host has been heard of");
  print(`\ntasks: ${states.map((state) => `${tasks[state] ?? 0} ${state}`).join(", ")}`);
}
