import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { testDatabase } from "./mongo-server.ts";
import { findProcess, layoutOf } from "@berth/local";
import type { Layout, ServiceName } from "@berth/local";

export const repositoryRoot = resolve(import.meta.dirname, "../../..");

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A program that runs it, with its arguments. */
  readonly through?: readonly string[];
}

/** A cluster of this test's own, brought up and used through the `berth` command, as a user would. */
export interface TestCluster extends AsyncDisposable {
  readonly data: string;
  readonly layout: Layout;
  /** Runs `berth` with these arguments against this cluster. */
  berth(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** As `berth`, with `--json` at the end; fails unless the exit code is 0. */
  json<T>(args: readonly string[]): Promise<T>;
  /** Kill -9 of one process; resolves when it is gone. */
  kill(name: ServiceName | "supervisor"): Promise<void>;
  pidOf(name: ServiceName | "supervisor"): number | undefined;
  up(...args: string[]): Promise<Ran>;
  down(...args: string[]): Promise<Ran>;
  /** Down, with whatever runs killed, and its directory removed. */
  close(): Promise<void>;
}

/** Gets what a cluster's driver needs, as an engine; closed once the cluster is down. */
export type Prepare = () => Promise<{ readonly env: Readonly<Record<string, string>>; close(): Promise<void> }>;

const nothing: Prepare = async () => ({ env: {}, close: async () => {} });

/** Brings a cluster up in a directory of its own, on ports of its own. */
export async function startCluster(options: {
  readonly driver: "process" | "docker" | "sim";
  readonly up?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly prepare?: Prepare;
}): Promise<TestCluster> {
  const prepared = await (options.prepare ?? nothing)();
  // Tasks of other users pass through it to their own directory.
  const data = mkdtempSync(join(tmpdir(), "berth-test-"));
  chmodSync(data, 0o711);
  const layout = layoutOf(data);
  const database = await testDatabase();
  const wishes = [...(database ? ["--database", database.url] : []), ...(options.up ?? [])];
  const env = {
    BERTH_DATA: data,
    XDG_CONFIG_HOME: join(data, "config"),
    NO_COLOR: "1",
    ...prepared.env,
    ...options.env,
  };
  const berth: TestCluster["berth"] = (args, extra = {}) => runBerth(args, { ...extra, env: { ...env, ...extra.env } });
  const cluster: TestCluster = {
    data,
    layout,
    berth,
    json: async <T>(args: readonly string[]) => {
      const ran = await berth([...args, "--json"]);
      if (ran.code !== 0) throw new Error(`berth ${args.join(" ")}: exit code ${ran.code}\n${ran.stdout}${ran.stderr}`);
      return JSON.parse(ran.stdout) as T;
    },
    kill: (name) => killProcess(layout, name),
    pidOf: (name) => findProcess(layout.run, name)?.pid,
    up: (...args) => berth(["up", "--driver", options.driver, "--port", "0", ...wishes, ...args]),
    down: (...args) => berth(["down", ...args]),
    close: async () => {
      const ran = await berth(["down", "--kill"]);
      if (ran.code !== 0) throw new Error(`berth down --kill: exit code ${ran.code}\n${ran.stdout}${ran.stderr}`);
      rmSync(data, { recursive: true, force: true, maxRetries: 3 });
      await database?.remove();
      await prepared.close();
    },
    [Symbol.asyncDispose]: () => cluster.close(),
  };
  const ran = await cluster.up();
  if (ran.code === 0) return cluster;
  await prepared.close();
  throw new Error(`berth up: exit code ${ran.code}\n${ran.stdout}${ran.stderr}\n${lastLogLines(layout)}`);
}

/** Runs the launcher; the test's own environment passes only what a program needs. */
export function runBerth(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const [program = "", ...words] = [...(options.through ?? []), join(repositoryRoot, "berth"), ...args];
    const child = spawn(program, words, {
      env: {
        PATH: process.env["PATH"],
        HOME: process.env["HOME"],
        ...(process.env["DOCKER_HOST"] ? { DOCKER_HOST: process.env["DOCKER_HOST"] } : {}),
        ...options.env,
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code: code ?? (signal ? 255 : 1), stdout, stderr }));
    child.stdin.on("error", () => {}); // the command may end before it read all
    child.stdin.end(options.input ?? "");
  });
}

async function killProcess(layout: Layout, name: string): Promise<void> {
  const known = findProcess(layout.run, name);
  if (!known) throw new Error(`${name} does not run`);
  process.kill(known.pid, "SIGKILL");
  await until(() => findProcess(layout.run, name)?.pid !== known.pid, `${name} to be gone`, 5000);
}

/** Looks again until it is so; fails with what was waited for. */
export async function until(isSo: () => boolean | Promise<boolean>, what: string, withinMs = 30_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`waited ${withinMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function lastLogLines(layout: Layout): string {
  return ["storage", "auth", "gateway", "scheduler", "watcher", "agent", "supervisor", "nats"]
    .map((name) => {
      try {
        return `--- ${name}\n${readFileSync(join(layout.logs, `${name}.log`), "utf8")
          .split("\n")
          .slice(-8)
          .join("\n")}`;
      } catch {
        return "";
      }
    })
    .join("\n");
}
