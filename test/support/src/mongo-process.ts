import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { freePort } from "@berth/local";
import { announced, drop, namer } from "./mongo-access.ts";
import type { MongoServer } from "./mongo-access.ts";

/** One that the test may kill. */
export interface OwnMongoServer extends MongoServer {
  /** Kill -9. */
  kill(): Promise<void>;
  /** Starts it again on its files and its port. */
  start(): Promise<void>;
}

/** How long a transaction may stay open. A store that is killed in one blocks the others for that long. */
const transactionSeconds = 3;

/** Pinned: newer packages no longer hold the server. */
const standIn = { package: "secantusdb", version: "0.6.0b17" };

/** A process of this test's own: `mongod` of the PATH, as a replica set of one, else the stand-in. Throws where neither can be had. */
export async function startOwnMongo(): Promise<OwnMongoServer> {
  const mongod = mongodPath();
  return announced(await (mongod ? startMongod(mongod) : startStandIn()));
}

export const mongodPath = (): string | undefined =>
  (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((dir) => join(dir, "mongod"))
    .find((path) => existsSync(path));

async function startMongod(path: string): Promise<OwnMongoServer> {
  const version = /v([0-9.]+)/.exec(execFileSync(path, ["--version"], { encoding: "utf8" }))?.[1] ?? "?";
  const dir = mkdtempSync(join(roomyDir(), "berth-mongod-"));
  mkdirSync(join(dir, "data"));
  const port = await freePort(0);
  const args = ["--dbpath", join(dir, "data"), "--bind_ip", "127.0.0.1", "--port", `${port}`, "--replSet", "berth"];
  args.push("--setParameter", `transactionLifetimeLimitSeconds=${transactionSeconds}`);
  const url = `mongodb://127.0.0.1:${port}/?directConnection=true`;
  const server = await child({
    name: `mongod ${version}`,
    dir,
    url,
    command: () => [path, args],
    ready: () => answers(port),
  });
  await initiate(port);
  return {
    ...server,
    url: `mongodb://127.0.0.1:${port}/?replicaSet=berth`,
    urlOf: namer(`mongodb://127.0.0.1:${port}/?replicaSet=berth`),
  };
}

/** Makes a replica set of one member, and waits until it is the primary. */
async function initiate(port: number): Promise<void> {
  const { MongoClient } = await import("mongodb");
  const client = await MongoClient.connect(`mongodb://127.0.0.1:${port}/?directConnection=true`);
  try {
    const members = [{ _id: 0, host: `127.0.0.1:${port}` }];
    await client.db("admin").command({ replSetInitiate: { _id: "berth", members } });
    while (!(await client.db("admin").command({ hello: 1 }))["isWritablePrimary"]) await wait(50);
  } finally {
    await client.close();
  }
}

/** One node over WiredTiger that syncs on commit: acknowledged writes survive a kill. */
async function startStandIn(): Promise<OwnMongoServer> {
  const path = installStandIn();
  const dir = mkdtempSync(join(roomyDir(), "berth-mongo-"));
  const port = await freePort(0);
  const args = ["--host", "127.0.0.1", "--port", `${port}`, "--storage-path", join(dir, "data")];
  args.push("--cache-size", "256M", "--log-file-max", "16MB", "--sync-on-commit");
  const version = execFileSync(path, ["--help"], { encoding: "utf8" }).split("\n")[0]!.split(" ").slice(0, 2).join(" ");
  const url = `mongodb://127.0.0.1:${port}/?replicaSet=secantus`;
  return child({
    name: `${version} of ${standIn.package} ${standIn.version} (a stand-in)`,
    dir,
    url,
    command: () => [path, args],
    ready: () => answers(port),
  });
}

/** Installs the stand-in once and keeps it between runs. A virtual environment cannot be moved, so a link is set to it once it is complete. */
function installStandIn(): string {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "berth");
  const link = join(cache, `mongo-stand-in-${standIn.version}`);
  const path = join(link, "bin", "secantusd-rs");
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  const making = mkdtempSync(`${link}-`);
  try {
    execFileSync("python3", ["-m", "venv", making], { stdio: "pipe" });
    const wanted = `${standIn.package}==${standIn.version}`;
    execFileSync(join(making, "bin/pip"), ["install", "-q", "--no-deps", "--pre", wanted], { stdio: "pipe" });
    symlinkSync(making, link);
  } catch (cause) {
    rmSync(making, { recursive: true, force: true });
    if (existsSync(path)) return path; // another test file was quicker
    throw new Error("no MongoDB for tests: no mongod on the PATH, and no stand-in can be installed", { cause });
  }
  return path;
}

interface ChildOptions {
  readonly name: string;
  readonly dir: string;
  readonly url: string;
  command(): readonly [path: string, args: readonly string[]];
  ready(): Promise<boolean>;
}

async function child({ name, dir, url, command, ready }: ChildOptions): Promise<OwnMongoServer> {
  let running: ChildProcess;
  // Ends the server and removes its files when this process ends, however it does: test runners kill their workers.
  const janitor = spawn("sh", ["-c", 'cat >/dev/null; kill -9 "$(cat "$1/pid")" 2>/dev/null; rm -rf "$1"', "sh", dir], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  janitor.unref();
  async function start(): Promise<void> {
    const log = openSync(join(dir, "log"), "a");
    const [path, args] = command();
    running = spawn(path, args, { stdio: ["ignore", log, log] });
    running.unref();
    closeSync(log);
    writeFileSync(join(dir, "pid"), String(running.pid));
    for (const until = Date.now() + 30_000; !(await ready()); await wait(20)) {
      if (running.exitCode !== null || Date.now() > until)
        throw new Error(`${name} did not start:\n${readFileSync(join(dir, "log"), "utf8").slice(-2_000)}`);
    }
  }
  async function kill(): Promise<void> {
    if (running.exitCode !== null || running.signalCode !== null) return;
    running.ref();
    const gone = once(running, "exit");
    running.kill("SIGKILL");
    await gone;
  }
  await start();
  return {
    url,
    name,
    urlOf: namer(url),
    drop,
    kill,
    start,
    async close() {
      await kill();
      janitor.ref();
      const gone = once(janitor, "exit");
      janitor.stdin.end();
      await gone;
    },
  };
}

/** `/dev/shm` if it has room: files in memory survive a killed process as well as files on disk do. */
function roomyDir(): string {
  if (!existsSync("/dev/shm")) return tmpdir();
  const { bavail, bsize } = statfsSync("/dev/shm");
  return bavail * bsize > 2 ** 31 ? "/dev/shm" : tmpdir();
}

async function answers(port: number): Promise<boolean> {
  const { MongoClient } = await import("mongodb");
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: 500,
  });
  try {
    await client.db("admin").command({ ping: 1 });
    return true;
  } catch {
    return false;
  } finally {
    await client.close();
  }
}
