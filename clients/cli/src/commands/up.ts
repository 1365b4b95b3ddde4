import { resolve } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { bringUp, defaultDataDir, defaultGatewayPort, layoutOf } from "@berth/local";
import type { UpOptions } from "@berth/local";
import { terminalProgress } from "../output/terminal-progress.ts";
import { chooseClusterHere } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { note, print, printJson } from "../output/print.ts";

/** Where this command is installed. */
export const installationRoot = resolve(import.meta.dirname, "../../../..");

export interface UpFlags {
  readonly data?: string;
  readonly driver: UpOptions["driver"];
  readonly simHosts: number;
  readonly port: number;
  readonly otlp: string;
  readonly metricsPort: number;
  readonly database: string;
  readonly json?: boolean;
}

/** The options of `up`, which `demo` has too. */
export function withUpOptions(command: Command): Command {
  return command
    .option(
      "--data <dir>",
      "directory of everything durable (default: /var/lib/berth for root, else the user's state directory)",
    )
    .addOption(
      new Option("--driver <name>", "what runs the tasks; auto: docker if an engine answers")
        .choices(["auto", "docker", "process", "sim"])
        .default("auto"),
    )
    .addOption(
      new Option("--sim-hosts <n>", "virtual hosts of the sim driver")
        .argParser((text) => wholeNumber(text, 1, 10_000))
        .default(10),
    )
    .addOption(
      new Option("--port <n>", "port of the public API on 127.0.0.1; 0: any")
        .argParser((text) => wholeNumber(text, 0, 65_535))
        .default(defaultGatewayPort),
    )
    .option("--otlp <url>", "send traces there, as http://127.0.0.1:4318/v1/traces", "")
    .addOption(
      new Option("--metrics-port <n>", "first of six ports on 127.0.0.1 for Prometheus (default: Unix sockets)")
        .argParser((text) => wholeNumber(text, 1024, 65_000))
        .default(0, "none"),
    )
    .addOption(
      new Option(
        "--database <url>",
        "mongodb://host/name of a replica set, in place of the embedded SQLite; chosen once",
      )
        .argParser(databaseUrl)
        .default("", "SQLite"),
    )
    .option("--json", "answer in JSON");
}

export function register(program: Command, { env }: Caller): void {
  withUpOptions(
    program
      .command("up")
      .description(
        "Starts a cluster on this machine; makes it first if there is none. If it runs already, shows how to use it.",
      ),
  ).action(async (flags: UpFlags) => {
    const { cluster, data, wasUp, layout } = await upFrom(flags, env);
    const server = `127.0.0.1:${cluster.gatewayPort}`;
    sayWhichCluster(layout.clientFile, server, env);
    if (flags.json) printJson({ server, data, driver: cluster.driver, wasUp });
    else
      print(
        `${wasUp ? "The cluster is up already" : "The cluster is up"}: ${server}, driver ${cluster.driver}, data in ${data}\nTry: berth run -- echo hello`,
      );
  });
}

/** Someone who brings a cluster up here means to use it, also after a login elsewhere. */
function sayWhichCluster(clientFile: string, server: string, env: NodeJS.ProcessEnv): void {
  const before = chooseClusterHere(clientFile, env);
  if (before !== undefined) note(`berth now talks to this cluster; back to ${before}: berth login ${before}`);
  const set = env["BERTH_SERVER"];
  if (set && set !== server) note(`berth: BERTH_SERVER is set, so berth talks to ${set} and not to this cluster`);
}

export async function upFrom(flags: UpFlags, env: NodeJS.ProcessEnv) {
  const layout = layoutOf(flags.data || defaultDataDir(env), env);
  const options: UpOptions = {
    driver: flags.driver,
    simHosts: flags.simHosts,
    port: flags.port,
    otlpUrl: flags.otlp,
    metricsPort: flags.metricsPort,
    database: flags.database,
    root: installationRoot,
  };
  return { ...(await bringUp(layout, options, terminalProgress())), layout, data: layout.data };
}

function databaseUrl(text: string): string {
  if (!/^mongodb(\+srv)?:\/\/[^/]+/.test(text)) throw new InvalidArgumentError("must begin with mongodb://.");
  return text;
}

function wholeNumber(text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new InvalidArgumentError(`must be a whole number from ${least} to ${most}.`);
  return value;
}
