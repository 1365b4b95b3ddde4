import { ListHostsResponse } from "@berth/contracts/api";
import { Host } from "@berth/contracts/types";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { findHost, printHost, printHosts } from "../output/host-table.ts";
import { note, printJson } from "../output/print.ts";

export function register(program: Command, caller: Caller): void {
  program
    .command("hosts")
    .description("Lists the machines that run tasks; with a name, everything known of one.")
    .argument("[name]", "one machine")
    .option("--json", "answer in JSON")
    .action(async (name: string | undefined, options: { json?: boolean }) => {
      const answer = await withBerth(caller, (berth) => berth.hosts.listHosts({}));
      if (name !== undefined) {
        const host = findHost(answer.hosts, name);
        return options.json ? printJson(Host.toJSON(host)) : printHost(host);
      }
      if (options.json) printJson(ListHostsResponse.toJSON(answer));
      else if (answer.hosts.length === 0) note("no host has been heard of");
      else printHosts(answer.hosts);
    });
}
