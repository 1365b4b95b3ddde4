import { GetStatusResponse } from "@berth/contracts/api";
import type { Command } from "commander";
import { findConnection, withBerth } from "../connection.ts";
import { printHosts } from "../output/host-table.ts";
import { print, printJson, printTable } from "../output/print.ts";

const states = ["pending", "placed", "running", "suspended", "over"];

export function register(program: Command): void {
  program
    .command("status")
    .summary("services, hosts and queue; exit code 0 only if all is well")
    .description("Shows services, hosts and queue in one screen. Exit code 0 only if all is well.")
    .option("--json", "answer in JSON")
    .action(async (options: { json?: boolean }) => {
      const status = await withBerth((berth) => berth.hosts.getStatus({}));
      if (options.json) printJson(GetStatusResponse.toJSON(status));
      else show(status);
      process.exitCode = status.ok ? 0 : 1;
    });
}

function show({ ok, services, hosts, tasks, version }: GetStatusResponse): void {
  print(`${findConnection().server}  berth ${version}  ${ok ? "all is well" : "not all is well"}\n`);
  printTable(
    [{ title: "SERVICE" }, { title: "STATUS" }, { title: "DETAIL", flexible: true }],
    services.map((service) => [service.name, service.ok ? "ok" : "down", service.detail]),
  );
  print("");
  if (hosts.length > 0) printHosts(hosts);
  else print("no host has been heard of");
  print(`\ntasks: ${states.map((state) => `${tasks[state] ?? 0} ${state}`).join(", ")}`);
}
