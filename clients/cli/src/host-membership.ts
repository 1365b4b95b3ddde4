import { CreateHostTokenResponse } from "@berth/contracts/api";
import { parseDuration } from "@berth/core";
import type { Command } from "commander";
import { findConnection, withBerth } from "./connection.ts";
import type { Caller } from "./connection.ts";
import { note, print, printJson } from "./output/print.ts";

/** The commands by which an admin lets machines in, and keeps them out. */
export function registerMembership(host: Command, caller: Caller): void {
  host
    .command("token")
    .description(
      "Makes a one-time token by which a machine joins as a host, and shows it once. It belongs to the first machine that uses it.",
    )
    .option("--ttl <time>", "how long it may be used, as 1h or 30m", "1h")
    .option(
      "--host <name>",
      "only for that host, also in place of the machine that joined as it before (default: any new host)",
      "",
    )
    .option("--json", "answer in JSON")
    .action(async (options: { ttl: string; host: string; json?: boolean }) => {
      const request = { host: options.host, ttlMs: parseDuration(options.ttl) };
      const answer = await withBerth(caller, (berth) => berth.hosts.createHostToken(request));
      if (options.json) return printJson(CreateHostTokenResponse.toJSON(answer));
      note(
        `until ${answer.expireTime?.toISOString()}, on the machine that is to be ${options.host || "a host"}, as root:`,
      );
      print(`berth agent join ${findConnection(caller).server} ${answer.token}`);
    });
  host
    .command("revoke")
    .description(
      "Ends all credentials of a host within seconds: it reads, reports and sends nothing any more. Its runs are as of a host that is not heard; see berth host lost.",
    )
    .argument("<name>", "the host, as it joined")
    .option("--json", "answer in JSON")
    .action(async (name: string, options: { json?: boolean }) => {
      await withBerth(caller, (berth) => berth.hosts.revokeHost({ hostId: name }));
      if (options.json) printJson({ host: name });
      else
        note(
          `${name} is revoked; what runs there runs on until its agent is stopped: berth host lost ${name} gives it up`,
        );
    });
}
