import { createInterface } from "node:readline/promises";
import { AppError } from "@berth/core";
import { DeclareHostLostResponse } from "@berth/contracts/api";
import type { Host } from "@berth/contracts/types";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { usageError } from "../exit.ts";
import { registerMembership } from "../host-membership.ts";
import { findHost } from "../output/host-table.ts";
import { print, printJson } from "../output/print.ts";

interface Options {
  readonly force?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export function register(program: Command, caller: Caller): void {
  const host = program.command("host").description("Lets machines join as hosts, revokes hosts, or declares one lost.");
  registerMembership(host, caller);
  host
    .command("lost")
    .summary("declare a host lost that will not come back")
    .description(
      "Declares a host lost that will not come back. Its tasks with --on-host-lost retry run again elsewhere; the others end as lost. " +
        "If the host is alive after all, its runs continue until it is heard again, and are ended then.",
    )
    .argument("<name>", "the host, as in berth hosts")
    .option("--force", "even if it was heard a moment ago")
    .option("-y, --yes", "do not ask")
    .option("--json", "answer in JSON")
    .action(async (name: string, options: Options) => {
      const answer = await withBerth(caller, async (berth) => {
        const host = findHost((await berth.hosts.listHosts({})).hosts, name);
        if (!options.yes) await confirm(host);
        return berth.hosts.declareHostLost({ hostId: name, force: options.force ?? false });
      });
      if (options.json) return printJson(DeclareHostLostResponse.toJSON(answer));
      print(
        `${name} is lost: of its tasks, ${answer.retried} wait for another host and ${answer.lost} are over as lost`,
      );
    });
}

async function confirm(host: Host): Promise<void> {
  if (!process.stdin.isTTY) throw usageError("--yes", "nobody can be asked here; say --yes");
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await reader.question(`Give up the ${host.liveTasks} tasks on ${host.id}? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new AppError("precondition", "NOT_CONFIRMED", "nothing was done");
  } finally {
    reader.close();
  }
}
