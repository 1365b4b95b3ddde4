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
  const host = program
    .command("host")
    .summary("let machines join, revoke them, declare one lost")
    .description("Work on one machine.");
  registerMembership(host, caller);
  host
    .command("lost")
    .description(
      "Declares a machine lost that will not come back. Its tasks run again elsewhere, where they asked for that with --on-host-lost retry; the others are over as lost. " +
        "If it lives after all, what runs there runs on until it is heard again, and is ended then.",
    )
    .argument("<name>", "the machine, as berth hosts names it")
    .option("--force", "also if it was heard lately")
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
