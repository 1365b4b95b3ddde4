import {
  CreateUserRequest,
  CreateUserResponse,
  RequestTasksResponse,
  SetUserDisabledResponse,
} from "@berth/contracts/api";
import { Role } from "@berth/contracts/auth";
import type { Command } from "commander";
import { makeAdmin } from "@berth/local/first-user";
import { settingsOf } from "@berth/local/env-files";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { usageError } from "../exit.ts";
import { note, print, printJson } from "../output/print.ts";
import { killLive, printResults } from "./kill.ts";
import { readSecretLine } from "../secret-input.ts";

interface Options {
  admin?: boolean;
  uid?: number;
  gid?: number;
  groups?: number[];
  home?: string;
  email?: string;
  passwordStdin?: boolean;
  json?: boolean;
}

export function register(program: Command, caller: Caller): void {
  const user = program.command("user").description("Users of the cluster (admins).");
  registerFirst(user, caller);
  registerDisabled(
    user,
    caller,
    "disable",
    "Ends a user's sessions within seconds and refuses new ones. Their running tasks go on, waiting ones wait until the user is enabled.",
  );
  registerDisabled(user, caller, "enable", "Lets a disabled user in again.");
  user
    .command("add")
    .description("Adds a user and shows a first API key, once.")
    .argument("<name>", "login name")
    .option("--admin", "may do everything")
    .option("--uid <n>", "numeric user id that tasks run as (default: the next free one from 20000)", readId("--uid"))
    .option("--gid <n>", "numeric group id (default: the uid)", readId("--gid"))
    .option("--groups <list>", "numeric ids of further groups", (text: string) =>
      text.split(",").map(readId("--groups")),
    )
    .option("--home <path>", "home directory on the hosts")
    .option("--email <address>", "e-mail")
    .option("--password-stdin", "read a password from standard input (default: keys only)")
    .option("--json", "answer in JSON")
    .action(async (name: string, options: Options) => {
      const password = options.passwordStdin ? await readSecretLine("password: ") : "";
      const request = CreateUserRequest.fromPartial({
        user: {
          name,
          identity: { user: name, uid: options.uid ?? 0, gid: options.gid ?? 0, groups: options.groups ?? [] },
          role: options.admin ? Role.ADMIN : Role.USER,
          home: options.home ?? "",
          email: options.email ?? "",
        },
        password,
      });
      const answer = await withBerth(caller, (berth) => berth.session.createUser(request));
      if (options.json) return printJson(CreateUserResponse.toJSON(answer));
      note(
        `${name} has uid ${answer.user?.identity?.uid}; this key is shown once, for berth login SERVER --key-stdin:`,
      );
      print(answer.key);
    });
}

function registerDisabled(user: Command, caller: Caller, verb: "disable" | "enable", description: string): void {
  const command = user.command(verb).description(description);
  if (verb === "disable") command.option("--kill", "ends all their tasks, waiting ones too");
  command
    .argument("<name>", "login name")
    .option("--json", "answer in JSON")
    .action(async (name: string, options: { json?: boolean; kill?: boolean }) => {
      const request = { user: name, disabled: verb === "disable" };
      const [answer, killed] = await withBerth(caller, async (berth) => [
        await berth.session.setUserDisabled(request),
        options.kill ? await killLive(berth, { user: name }) : undefined,
      ]);
      if (options.json)
        return printJson({
          ...(SetUserDisabledResponse.toJSON(answer) as object),
          ...(killed && (RequestTasksResponse.toJSON({ results: killed }) as object)),
        });
      note(`${name} is ${verb}d`);
      if (killed) printResults(killed, false);
    });
}

/** Adds the first admin. No user may add one yet, so the cluster's secret authorizes the call. */
function registerFirst(user: Command, caller: Caller): void {
  user
    .command("first")
    .description("Adds the first admin of a cluster whose services were started one by one, and shows an API key.")
    .argument("<name>", "login name")
    .requiredOption(
      "--env <file>",
      "the services' settings: BERTH_AUTH and BERTH_CLUSTER_SECRET; or auth's own, with its identity",
    )
    .option("--uid <n>", "numeric user id that tasks run as", readId("--uid"), 20_000)
    .option("--rescue <dir>", "auth's data directory: makes another admin where the ones that exist cannot log in")
    .action(async (name: string, { env, uid, rescue }: { env: string; uid: number; rescue?: string }) => {
      const settings = settingsOf([env], caller.env);
      const identityDir = settings["BERTH_IDENTITY_DIR"];
      const auth = settings["BERTH_AUTH"] ?? (identityDir ? settings["BERTH_LISTEN"] : undefined);
      const clusterSecret = settings["BERTH_CLUSTER_SECRET"];
      if (!auth || (!clusterSecret && !identityDir))
        throw usageError("--env", "must say BERTH_AUTH and BERTH_CLUSTER_SECRET, or be the service.env of auth");
      const proof = identityDir ? { identityDir } : { clusterSecret: clusterSecret ?? "" };
      const { key } = await makeAdmin(auth, proof, { name, uid, gid: uid, home: "" }, "first", rescue);
      note(`${name} is an admin with uid ${uid}; this key is shown once, for berth login SERVER --key-stdin:`);
      print(key);
    });
}

const readId =
  (option: string) =>
  (text: string): number => {
    if (!/^\d{1,10}$/.test(text.trim()))
      throw usageError(option, `must be a numeric id, is ${JSON.stringify(text.slice(0, 40))}`);
    return Number(text);
  };
