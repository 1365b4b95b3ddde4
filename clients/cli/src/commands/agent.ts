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
    .description("Makes this machine a host of a cluster.")
    .command("join")
    .summary("join a cluster with a token")
    .description(
      "Makes this machine a host of a cluster. An admin there makes the token with berth host token. The host's keys are made on this machine and never leave it. " +
        "If it fails or is interrupted, repeat it with the same token.",
    )
    .argument("<server>", "host:port of the cluster's gateway; several with commas")
    .argument("<token>", "from berth host token")
    .option("--name <host>", "name of this host in the cluster (default: the token's, else the machine's own)")
    .option("--dir <dir>", "directory for its identity and settings", "/etc/berth/agent")
    .option("--data-dir <dir>", "directory for its journal", "/var/lib/berth/agent")
    .option("--files-dir <dir>", "the tasks' files, if this machine shares that directory with storage")
    .addOption(new Option("--driver <name>", "what runs the tasks").choices(["docker", "process"]).default("docker"))
    .option("--start", "then run the agent in the foreground")
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
