import { hostname } from "node:os";
import { resolve } from "node:path";
import { closeInheritedFiles, serviceArgs, settingsOf } from "@berth/local/serve";
import { joinHost } from "@berth/local/join";
import { Option } from "commander";
import type { Command } from "commander";
import type { Caller } from "../connection.ts";
import { note, print, printJson } from "../output/print.ts";
import { installationRoot } from "./up.ts";

interface Options {
  readonly name?: string;
  readonly dir: string;
  readonly dataDir: string;
  readonly filesDir?: string;
  readonly driver: string;
  readonly start?: boolean;
  readonly json?: boolean;
}

export function register(program: Command, caller: Caller): void {
  program
    .command("agent")
    .summary("make this machine a host of a cluster")
    .description("Work on the agent of this machine.")
    .command("join")
    .description(
      "Makes this machine a host of a cluster, by a token that an admin made there with berth host token. Its keys are made here and stay here. " +
        "It may be said again with the same token on the same machine, whatever became of the first time.",
    )
    .argument("<server>", "host:port of the cluster's gateway; several with commas")
    .argument("<token>", "as berth host token showed it")
    .option("--name <host>", "name of this host in the cluster (default: the token's, else the machine's own)")
    .option("--dir <dir>", "where its identity and settings are kept", "/etc/berth/agent")
    .option("--data-dir <dir>", "where it keeps its journal", "/var/lib/berth/agent")
    .option("--files-dir <dir>", "the tasks' files, where this machine sees the same directory as storage")
    .addOption(new Option("--driver <name>", "what runs the tasks").choices(["docker", "process"]).default("docker"))
    .option("--start", "become its agent at once, in the foreground")
    .option("--json", "answer in JSON")
    .action(async (gateway: string, token: string, options: Options) => {
      const joined = await joinHost({
        ...options,
        gateway,
        token,
        host: options.name ?? defaultName(),
        dir: resolve(options.dir),
      });
      const { host, cluster, envFile } = joined;
      if (options.json) printJson(joined);
      else note(`this machine is host ${host} of cluster ${cluster}; its settings are in ${envFile}`);
      if (options.start) {
        closeInheritedFiles();
        process.execve!(
          process.execPath,
          [process.execPath, ...serviceArgs(installationRoot, "agent")],
          settingsOf([envFile], caller.env),
        );
      }
      if (!options.json) print(`berth serve agent --env ${envFile}`);
    });
}

/** A token may be for a host of another name: then that counts. */
const defaultName = (): string =>
  hostname()
    .replaceAll(/[^A-Za-z0-9_-]/g, "_")
    .slice(0, 64);
