import { ListHostsResponse } from "@berth/contracts/api";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import { printHosts } from "../output/host-table.ts";
import { note, printJson } from "../output/print.ts";

export function register(program: Command): void {
  program
    .command("hosts")
    .summary("the machines")
    .description("Lists the machines that run tasks.")
    .option("--json", "answer in JSON")
    .action(async (options: { json?: boolean }) => {
      const answer = await withBerth((berth) => berth.hosts.listHosts({}));
      if (options.json) printJson(ListHostsResponse.toJSON(answer));
      else if (answer.hosts.length === 0) note("no host has been heard of");
      else printHosts(answer.hosts);
    });
}
