import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

/** A server that speaks MongoDB's wire, as a replica set: without one there are no transactions and no change streams. */
export interface MongoServer {
  /** Without a database; `urlOf` names one. */
  readonly url: string;
  /** What it is and which version. */
  readonly name: string;
  urlOf(database: string): string;
  /** Removes a database, by the URL that `urlOf` gave. */
  drop(url: string): Promise<void>;
  /** Kill -9; undefined where the server is not ours to end. */
  readonly kill: (() => Promise<void>) | undefined;
  /** Starts it again on its files and its port. */
  readonly start: (() => Promise<void>) | undefined;
  readonly pid: (() => number) | undefined;
  /** Ends it, with its files. */
  close(): Promise<void>;
}

/** How long a transaction may hold what it wrote; a store killed in one keeps the others waiting so long. */
const transactionSeconds = 3;

const standIn = { package: "secantusdb", version: "0.6.0b17" };

/**
 * A server for tests: the one that `MONGODB_URL` names; else `mongod` of the PATH, as a replica set of one; else, where `BERTH_TEST_MONGO=memory` says so,
 * mongodb-memory-server, which downloads one; else the stand-in, a process of its own. Says which it is, once. Throws where none can be had.
 */
export async function startMongo(): Promise<MongoServer> {
  const server = await found();
  inUse = server.name;
  process.stderr.write(`MongoDB for tests: ${server.name}\n`);
  return server;
}

async function found(): Promise<MongoServer> {
  const given = process.env["MONGODB_URL"];
  if (given) return existing(given);
  const mongod = onPath("mongod");
  if (mongod) return startMongod(mongod);
  if (process.env["BERTH_TEST_MONGO"] === "memory") return startMemoryServer();
  return startStandIn();
}

let inUse = "";

/** On which database this process's clusters run, for the record. */
export const databaseInUse = (): string => inUse || "SQLite";

/** One server for all tests of a process, each with a database of its own. It ends with the process. */
export function sharedMongo(): Promise<MongoServer> {
  shared ??= startMongo();
  return shared;
}
let shared: Promise<MongoServer> | undefined;

export interface TestDatabase {
  readonly url: string;
  remove(): Promise<void>;
}

/** A database for a cluster of a test, where `BERTH_TEST_DATABASE=mongo` asks for one; else it has SQLite. */
export async function testDatabase(): Promise<TestDatabase | undefined> {
  if (process.env["BERTH_TEST_DATABASE"] !== "mongo") return undefined;
  const server = await sharedMongo();
  const name = `berth_test_${randomBytes(6).toString("hex")}`;
  return {
    url: server.urlOf(name),
    async remove() {
      await server.drop(server.urlOf(name));
      await server.drop(server.urlOf(`${name}_auth`));
    },
  };
}

function existing(url: string): MongoServer {
  const name = `the one of MONGODB_URL (${new URL(url.replace(/^mongodb(\+srv)?:/, "http:")).host})`;
  return {
    url,
    name,
    urlOf: namer(url),
    drop,
    kill: undefined,
    start: undefined,
    pid: undefined,
    close: async () => {},
  };
}

const namer =
  (url: string) =>
  (database: string): string => {
    const [, base, query = ""] = /^(mongodb(?:\+srv)?:\/\/[^/?]+)(?:\/[^?]*)?(\?.*)?$/.exec(url)!;
    return `${base}/${database}${query}`;
  };

async function drop(url: string): Promise<void> {
  const { MongoClient, UUID } = await import("mongodb");
  const client = await MongoClient.connect(url);
  try {
    // Stores that were killed may have left transactions open, for which a drop would wait.
    const copies = await client.db().collection("copies").find().toArray();
    const sessions = copies.map(({ session }) => ({
      id: new UUID(Buffer.from((session as { buffer: Uint8Array }).buffer)),
    }));
    if (sessions.length > 0) await client.db("admin").command({ killSessions: sessions });
    await client.db().dropDatabase();
  } finally {
    await client.close();
  }
}

const onPath = (name: string): string | undefined =>
  (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((dir) => join(dir, name))
    .find((path) => existsSync(path));

async function startMongod(path: string): Promise<MongoServer> {
  const version = /v([0-9.]+)/.exec(execFileSync(path, ["--version"], { encoding: "utf8" }))?.[1] ?? "?";
  const dir = mkdtempSync(join(roomyDir(), "berth-mongod-"));
  mkdirSync(join(dir, "data"));
  const port = await freePort();
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

/** Makes a set of one, and waits until it leads. */
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

interface MemoryServer {
  getUri(): string;
  stop(): Promise<unknown>;
}

async function startMemoryServer(): Promise<MongoServer> {
  const module = "mongodb-memory-server";
  const { MongoMemoryReplSet } = (await import(module)) as {
    MongoMemoryReplSet: { create(options: object): Promise<MemoryServer> };
  };
  const server = await MongoMemoryReplSet.create({ replSet: { count: 1, storageEngine: "wiredTiger" } });
  const url = server.getUri();
  const close = async () => void (await server.stop());
  return { url, name: module, urlOf: namer(url), drop, kill: undefined, start: undefined, pid: undefined, close };
}

/** One node over WiredTiger; nothing that it acknowledged is lost with its process. */
async function startStandIn(): Promise<MongoServer> {
  const path = installStandIn();
  const dir = mkdtempSync(join(roomyDir(), "berth-mongo-"));
  const port = await freePort();
  const args = ["--host", "127.0.0.1", "--port", `${port}`, "--storage-path", join(dir, "data")];
  args.push("--cache-size", "256M", "--log-file-max", "16MB", "--sync-on-commit");
  const version = execFileSync(path, ["--help"], { encoding: "utf8" }).split("\n")[0]!.split(" ").slice(0, 2).join(" ");
  const url = `mongodb://127.0.0.1:${port}/?replicaSet=secantus`;
  return child({ name: `${version} (a stand-in)`, dir, url, command: () => [path, args], ready: () => answers(port) });
}

/** Kept between runs; made under another name and then renamed, so that it is whole or not there. */
function installStandIn(): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const dir = join(cache, "berth", `${standIn.package}-${standIn.version}`);
  const path = join(dir, "bin", "secantusd-rs");
  if (existsSync(path)) return path;
  mkdirSync(join(cache, "berth"), { recursive: true });
  const making = mkdtempSync(join(cache, "berth", "making-"));
  try {
    execFileSync("python3", ["-m", "venv", making], { stdio: "pipe" });
    const wanted = `${standIn.package}==${standIn.version}`;
    execFileSync(join(making, "bin/pip"), ["install", "-q", "--no-deps", "--pre", wanted], { stdio: "pipe" });
    renameSync(making, dir);
  } catch (cause) {
    rmSync(making, { recursive: true, force: true });
    if (existsSync(path)) return path; // another test file was quicker
    throw new Error("no MongoDB for tests: no MONGODB_URL, no mongod on the PATH, and no stand-in can be installed", {
      cause,
    });
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

async function child({ name, dir, url, command, ready }: ChildOptions): Promise<MongoServer> {
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
    pid: () => running.pid!,
    async close() {
      await kill();
      janitor.ref();
      const gone = once(janitor, "exit");
      janitor.stdin.end();
      await gone;
    },
  };
}

/** Memory where there is enough of it: what a killed process wrote is there all the same. */
function roomyDir(): string {
  if (!existsSync("/dev/shm")) return tmpdir();
  const { bavail, bsize } = statfsSync("/dev/shm");
  return bavail * bsize > 2 ** 31 ? "/dev/shm" : tmpdir();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address ? address.port : 0;
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
