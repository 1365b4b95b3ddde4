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
    .summary("make a token with which one machine can join")
    .description(
      "Makes a token with which one machine can join as a host, and shows it once. The first machine that uses it owns it.",
    )
    .option("--ttl <time>", "time in which it can be used, as 1h or 30m", "1h")
    .option("--host <name>", "only for this host name; replaces the machine that has it now (default: any new host)")
    .option("--json", "answer in JSON")
    .action(async (options: { ttl: string; host?: string; json?: boolean }) => {
      const request = { host: options.host ?? "", ttlMs: parseDuration(options.ttl, "--ttl") };
      const answer = await withBerth(caller, (berth) => berth.hosts.createHostToken(request));
      if (options.json) return printJson(CreateHostTokenResponse.toJSON(answer));
      note(
        `until ${answer.expireTime?.toISOString()}, on the machine that is to be ${options.host ?? "a host"}, as root:`,
      );
      print(`berth agent join ${findConnection(caller).server} ${answer.token}`);
    });
  host
    .command("revoke")
    .summary("revoke all credentials of a host")
    .description(
      "Revokes all credentials of a host. Within seconds it can neither read, report nor send anything. Its runs are treated as those of a silent host; see berth host lost.",
    )
    .argument("<name>", "the host, as it joined")
    .option("--json", "answer in JSON")
    .action(async (name: string, options: { json?: boolean }) => {
      await withBerth(caller, (berth) => berth.hosts.revokeHost({ hostId: name }));
      if (options.json) printJson({ host: name });
      else
        note(
          `${name} is revoked; its tasks run on until its agent is stopped; to give them up: berth host lost ${name}`,
        );
    });
}
