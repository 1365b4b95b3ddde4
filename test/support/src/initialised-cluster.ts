import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@berth/local";
import { repositoryRoot, runBerth, until } from "./cluster.ts";
import { killKeepers } from "./keepers.ts";
import { testDatabase } from "./mongo-server.ts";
import { natsServerPath } from "./nats-server.ts";

export type InitialisedService = "nats" | "storage" | "auth" | "scheduler" | "watcher" | "gateway";
const services: readonly InitialisedService[] = ["nats", "storage", "auth", "scheduler", "watcher", "gateway"];

/** A cluster as `berth init` makes it: each service a process with its own directory, its own identity and TLS, on an address of loopback. */
export interface InitialisedCluster extends AsyncDisposable {
  readonly dir: string;
  /** The authority's certificate. */
  readonly ca: string;
  readonly addresses: Readonly<Record<InitialisedService, string>>;
  /** Directory of a service's identity. */
  identityOf(service: InitialisedService): string;
  berth(args: readonly string[], options?: { readonly input?: string }): ReturnType<typeof runBerth>;
  /** Starts a process of the cluster, `serve` and an agent's alike; resolves once it says that it is ready. */
  start(name: string, args: readonly string[], env?: Readonly<Record<string, string>>): Promise<void>;
  stop(name: string, signal?: NodeJS.Signals): Promise<void>;
  signal(name: string, signal: NodeJS.Signals): void;
  pidOf(name: string): number;
  logOf(name: string): string;
}

/** Makes a cluster, starts its services, and logs in as its first admin. */
export async function startInitialisedCluster(
  settings: Readonly<Record<string, string>> = {},
): Promise<InitialisedCluster> {
  const dir = mkdtempSync(join(tmpdir(), "berth-init-"));
  chmodSync(dir, 0o711);
  const at = join(dir, "etc");
  const database = await testDatabase();
  const addresses = Object.fromEntries(
    await Promise.all(services.map(async (name) => [name, `127.0.0.1:${await freePort(0)}`] as const)),
  ) as Record<InitialisedService, string>;
  const mine = { XDG_CONFIG_HOME: join(dir, "config"), BERTH_DATA: join(dir, "none"), NO_COLOR: "1" };
  const berth: InitialisedCluster["berth"] = (args, options = {}) => runBerth([...args], { env: mine, ...options });
  const running = new Map<string, ChildProcess>();
  const logOf = (name: string): string => readFileSync(join(dir, `${name}.log`), "utf8");

  function run(
    name: string,
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): ChildProcess {
    const log = openSync(join(dir, `${name}.log`), "a");
    const child = spawn(command, [...args], {
      env: {
        PATH: process.env["PATH"],
        HOME: dir,
        ...(process.env["NODE_COMPILE_CACHE"] ? { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] } : {}),
        ...env,
      },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    running.set(name, child);
    return child;
  }
  async function start(
    name: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const ready = join(dir, `${name}.ready`);
    rmSync(ready, { force: true });
    const child = run(name, join(repositoryRoot, "berth"), args, { ...settings, ...env, BERTH_READY_FILE: ready });
    await until(() => {
      if (child.exitCode !== null) throw new Error(logOf(name));
      try {
        return (JSON.parse(readFileSync(ready, "utf8")) as { pid: number }).pid > 0;
      } catch {
        return false;
      }
    }, `${name} to be ready`);
  }
  async function stop(name: string, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = running.get(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  const cluster: InitialisedCluster = {
    dir,
    addresses,
    get ca() {
      return readFileSync(join(at, "ca.pem"), "utf8");
    },
    identityOf: (service) => join(at, service, "identity"),
    berth,
    start,
    stop,
    signal: (name, signal) => void running.get(name)!.kill(signal),
    pidOf: (name) => running.get(name)!.pid!,
    logOf,
    async [Symbol.asyncDispose]() {
      for (const name of running.keys()) await stop(name);
      for (const name of running.keys()) killKeepers(join(dir, name, "keepers"));
      rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
      await database?.remove();
    },
  };
  try {
    const made = await berth([
      "init",
      at,
      "--cluster",
      "lab",
      "--data-dir",
      join(dir, "data"),
      "--admin",
      "ada",
      "--uid",
      String(process.getuid?.() || 20_000),
      ...services.flatMap((name) => [`--${name}`, addresses[name]]),
      ...(database ? ["--database", database.url] : []),
    ]);
    if (made.code !== 0) throw new Error(made.stderr);
    run("nats", natsServerPath()!, ["-c", join(at, "nats", "nats.conf")], {});
    await until(() => takesConnections(addresses.nats), "nats-server to listen");
    await Promise.all(
      services
        .filter((name) => name !== "nats")
        .map((name) => start(name, ["serve", name, "--env", join(at, name, "service.env")])),
    );
    const key = readFileSync(join(at, "admin", "key"), "utf8");
    const login = await berth(["login", addresses.gateway, "--ca", join(at, "ca.pem"), "--key-stdin"], { input: key });
    if (login.code !== 0) throw new Error(login.stderr);
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

function takesConnections(address: string): Promise<boolean> {
  const [host, port] = address.split(":") as [string, string];
  return new Promise((resolve) => {
    const socket = connect(Number(port), host, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
