import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { AppError } from "@berth/core";
import type { ServiceRole } from "@berth/contracts";
import { splitAddresses } from "@berth/contracts/channel";
import { defaultPorts, initCluster, renewServices } from "@berth/local/init";
import type { InitialisedCluster } from "@berth/local/init";
import type { Command } from "commander";
import { usageError } from "../exit.ts";
import { note, print, printJson } from "../output/print.ts";

interface Options extends Partial<Record<ServiceRole, string>> {
  readonly cluster: string;
  readonly address?: string;
  readonly dataDir: string;
  readonly filesDir?: string;
  readonly database?: string;
  readonly publicName?: string[];
  readonly admin: string;
  readonly uid: number;
  readonly renew?: string;
  readonly json?: boolean;
}

const gather = (name: string, all: string[] = []): string[] => [...all, name];

export function register(program: Command): void {
  program
    .command("init")
    .description(
      "Makes a new cluster of several machines. Writes its certificate authority, identity and settings of each copy of a service, the configuration of nats-server, and the first admin. " +
        "Starts nothing and asks no questions. Addresses are host:port; separate copies of a service by commas. A service without an option is at --address, on its usual port.",
    )
    .argument("[dir]", "directory to write to; the same path holds its part on each machine", "/etc/berth")
    .option("--cluster <id>", "name of the cluster", "berth")
    .option("--address <host>", "name or address of this machine for the others (default: its host name)")
    .option("--storage <addresses>", "storage; several only with --database")
    .option("--auth <addresses>", "auth; several only with --database")
    .option("--scheduler <addresses>", "scheduler")
    .option("--watcher <addresses>", "watcher")
    .option("--gateway <addresses>", "gateway, the public service")
    .option("--nats <address>", "nats-server")
    .option("--database <url>", "mongodb://host/name of a replica set (default: SQLite)")
    .option("--data-dir <dir>", "parent of the services' data directories", "/var/lib/berth")
    .option("--files-dir <dir>", "the tasks' files, if hosts share that directory with storage")
    .option("--public-name <name>", "another name or address of the gateways for their users; may be repeated", gather)
    .option("--admin <name>", "login name of the first admin", "admin")
    .option("--uid <n>", "numeric user id that the admin's tasks run as", readUid, 20_000)
    .option(
      "--renew <dir>",
      "only renew the services' certificates; <dir> is auth's directory, which has the authority",
    )
    .option("--json", "answer in JSON")
    .action(async (dir: string, options: Options) => {
      const at = resolve(dir);
      if (options.renew !== undefined) return renew(at, resolve(options.renew), options);
      const made = await initCluster({
        ...options,
        dir: at,
        addresses: addressesOf(options),
        names: options.publicName ?? [],
        admin: { name: options.admin, uid: options.uid },
        now: new Date(),
      });
      if (options.json) printJson(made);
      else sayNext(at, made);
    });
}

async function renew(dir: string, authDir: string, options: Options): Promise<void> {
  const renewed = await renewServices(dir, authDir, new Date(), options.publicName ?? []);
  if (renewed.length === 0) throw new AppError("not-found", "NO_IDENTITY", `${dir} holds no service's identity`);
  if (options.json) return printJson({ renewed });
  for (const path of renewed) print(path);
  note(
    "services that run from these directories take the new certificates within seconds; tell nats-server with: nats-server --signal reload",
  );
}

function addressesOf(options: Options): Record<ServiceRole, string> {
  const here = options.address ?? hostname();
  const of = (role: ServiceRole): string => {
    const all = splitAddresses(options[role] ?? here).map((one) =>
      /:\d+$/.test(one) ? one : `${one}:${defaultPorts[role]}`,
    );
    for (const one of all)
      if (!/^(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d{1,5}$/.test(one) || Number(one.slice(one.lastIndexOf(":") + 1)) > 65_535)
        throw usageError(`--${role}`, `must look like host:port, is ${JSON.stringify(one.slice(0, 80))}`);
    if (all.length === 0) throw usageError(`--${role}`, "must name an address");
    if (all.length > 1 && role === "nats")
      throw usageError("--nats", "must be one address; berth init configures a single nats-server");
    if (all.length > 1 && (role === "storage" || role === "auth") && !options.database)
      throw usageError(`--${role}`, "must be one address on SQLite; give --database for several");
    return all.join(",");
  };
  return {
    nats: of("nats"),
    storage: of("storage"),
    auth: of("auth"),
    scheduler: of("scheduler"),
    watcher: of("watcher"),
    gateway: of("gateway"),
  };
}

function sayNext(dir: string, { services, authorityFile, fingerprint, adminKeyFile }: InitialisedCluster): void {
  const width = Math.max(...services.map(({ name }) => name.length));
  print(`A new cluster is in ${dir}. The authority's fingerprint is\n  ${fingerprint}\n`);
  print("Each machine needs its own part, at the same path, and no other:");
  for (const { name, address, dir: part } of services) print(`  ${name.padEnd(width)}  ${address.padEnd(21)}  ${part}`);
  print("\nStart them there, in any order:");
  for (const { name, role, dir: part } of services)
    print(
      role === "nats"
        ? `  nats-server -c ${join(part, "nats.conf")}`
        : `  berth serve ${name} --env ${join(part, "service.env")}`,
    );
  const gateways = services.filter(({ role }) => role === "gateway").map(({ address }) => address);
  print("\nThen, as the first admin, here, and a token for each machine that is to run tasks:");
  print(`  berth login ${gateways.join(",")} --ca ${authorityFile} --key-stdin < ${adminKeyFile}`);
  print("  berth host token");
  note(
    `keep ${services.find(({ role }) => role === "auth")!.dir} and ${adminKeyFile} secret: whoever has them has the cluster`,
  );
}

function readUid(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw usageError("--uid", "must be a numeric user id other than 0");
  return Number(text);
}
