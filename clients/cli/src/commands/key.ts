import { parseDuration } from "@berth/core";
import { CreateKeyResponse, ListKeysResponse } from "@berth/contracts/api";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { note, print, printJson, printTable } from "../output/print.ts";
import { clock } from "../output/task-words.ts";

export function register(program: Command, caller: Caller): void {
  const key = program.command("key").description("My API keys.");

  key
    .command("create")
    .description("Makes an API key and shows it, once.")
    .argument("<name>", "what it is for")
    .option("--expires <time>", "how long it lasts, as 12h or 30d (default: until revoked)", (text: string) =>
      parseDuration(text, "--expires"),
    )
    .option("--json", "answer in JSON")
    .action(async (name: string, options: { expires?: number; json?: boolean }) => {
      const answer = await withBerth(caller, (berth) => berth.session.createKey({ name, ttlMs: options.expires ?? 0 }));
      if (options.json) return printJson(CreateKeyResponse.toJSON(answer));
      note(`key ${answer.info?.id}, shown once:`);
      print(answer.key);
    });

  key
    .command("ls")
    .description("Lists my API keys, without their secrets.")
    .option("--user <name>", "whose (admins)")
    .option("--json", "answer in JSON")
    .action(async (options: { user?: string; json?: boolean }) => {
      const answer = await withBerth(caller, (berth) => berth.session.listKeys({ user: options.user ?? "" }));
      if (options.json) return printJson(ListKeysResponse.toJSON(answer));
      if (answer.keys.length === 0) return note("no keys");
      printTable(
        [{ title: "ID" }, { title: "NAME", flexible: true }, { title: "MADE" }, { title: "ENDS" }],
        answer.keys.map((each) => [
          each.id,
          each.name,
          each.createTime ? clock(each.createTime) : "",
          each.expireTime ? clock(each.expireTime) : "when revoked",
        ]),
      );
    });

  key
    .command("revoke")
    .description("Ends an API key at once.")
    .argument("<id>", "from berth key ls")
    .option("--user <name>", "whose (admins)")
    .option("--json", "answer in JSON")
    .action(async (id: string, options: { user?: string; json?: boolean }) => {
      await withBerth(caller, (berth) => berth.session.revokeKey({ id, user: options.user ?? "" }));
      if (options.json) printJson({});
      else note(`key ${id} is revoked`);
    });
}
