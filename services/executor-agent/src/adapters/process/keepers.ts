import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "@berth/core";
import type { TaskToRun } from "@berth/plugins";
import type { Logger } from "@berth/runtime";
import type { HostCgroups } from "./host-cgroups.ts";
import { identityKey, nameOf, shortBoot } from "./keeper-names.ts";
import { connectKeeper } from "./keeper-link.ts";
import type { KeeperLink } from "./keeper-link.ts";
import { protocolVersion } from "./keeper/protocol.ts";
import type { KeeperOptions, RunRecord } from "./keeper/protocol.ts";
import { readProcess } from "./process-table.ts";

/** A connected keeper of one identity. */
export interface Keeper {
  readonly dir: string;
  readonly identity: string;
  readonly link: KeeperLink;
}

export interface KeepersOptions {
  readonly dataDir: string;
  /** For sockets, whose paths must be short. */
  readonly runDir: string;
  readonly bootId: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where runs have cgroups of their own. */
  readonly cgroups: HostCgroups | undefined;
  readonly logger: Logger;
  readonly onRecords: (keeper: Keeper, runs: readonly RunRecord[]) => void;
  /** The connection broke and was made again. Runs that the keeper does not have never reached it. */
  readonly onReconnected: (keeper: Keeper, before: Keeper) => void;
  /** The keeper is dead or cannot be reached. Its record is in `dir` now. */
  readonly onLost: (dir: string, before: Keeper | undefined) => void;
  /** `dir` has the record of a keeper that ran before the machine's last boot. */
  readonly onEarlierBoot: (dir: string) => void;
}

const startTimeoutMs = 10_000;
const connectEveryMs = 5;
const reconnectTimeoutMs = 1_000;
const pingMs = 1_000;
/** Unanswered pings in a row after which a keeper counts as stalled. */
const stalledPings = 2;
/** A keeper that stalls this often is killed. The count begins again after `forgivingPings` answers. */
const maxStalls = 4;
const forgivingPings = 60;
const main = join(import.meta.dirname, "keeper", "main.ts");

/** The keepers of this host: finds, starts and watches them. */
export class Keepers {
  readonly #options: KeepersOptions;
  readonly #dir: string;
  readonly #lostDir: string;
  readonly #live = new Map<string, Keeper>();
  readonly #starting = new Map<string, Promise<Keeper>>();
  #closed = false;
  #pinging: NodeJS.Timeout | undefined;
  /** Per keeper: how often it stalled, and how many pings it answered since. */
  readonly #stalls = new Map<string, { times: number; answered: number }>();

  constructor(options: KeepersOptions) {
    this.#options = options;
    this.#dir = join(options.dataDir, "keepers");
    this.#lostDir = join(options.dataDir, "lost-keepers");
  }

  /** Connects to the keepers that an earlier agent process started, and hands on the records of dead ones. */
  async open(): Promise<void> {
    this.#closed = false;
    for (const dir of [this.#dir, this.#lostDir]) mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#dir)) {
      if (!this.#isOfThisBoot(name)) renameSync(join(this.#dir, name), join(this.#lostDir, name));
    }
    const names = readdirSync(this.#dir);
    const lost = readdirSync(this.#lostDir);
    for (const name of lost) {
      if (this.#isOfThisBoot(name)) this.#options.onLost(join(this.#lostDir, name), undefined);
      else this.#options.onEarlierBoot(join(this.#lostDir, name));
    }
    await Promise.all(names.map((name) => this.#find(name)));
    this.#options.cgroups?.keepOnly([...names, ...lost]);
    this.#pinging = setInterval(() => this.#pingAll(), pingMs);
  }

  /** Closes the connections. The keepers go on. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#pinging);
    for (const { link } of this.#live.values()) link.drop();
    this.#live.clear();
  }

  get live(): readonly Keeper[] {
    return [...this.#live.values()];
  }

  /** The keeper that starts this user's tasks, started if there is none. Rejects with AppError `unavailable` KEEPER_FAILED. */
  for(identity: TaskToRun["identity"]): Keeper | Promise<Keeper> {
    const id = identityKey(identity);
    const live = this.live.find((keeper) => keeper.identity === id && keeper.link.version === protocolVersion);
    if (live) return live;
    const present = this.#starting.get(id);
    if (present) return present;
    const starting = this.#start(id, identity).finally(() => this.#starting.delete(id));
    this.#starting.set(id, starting);
    return starting;
  }

  /** Asks an empty keeper to end. */
  retire(keeper: Keeper): void {
    if (!this.#live.delete(keeper.dir)) return;
    keeper.link.retire();
    keeper.link.drop();
    // Its directory goes once it is gone, at the next start at the latest.
    setTimeout(() => this.removeDir(keeper.dir), reconnectTimeoutMs).unref();
  }

  /** Removes the directory of a keeper, its socket and its cgroups. */
  removeDir(dir: string): void {
    rmSync(this.#socketOf(nameOf(dir)), { force: true });
    rmSync(dir, { recursive: true, force: true });
    this.#options.cgroups?.remove(nameOf(dir));
  }

  /**
   * Pings each keeper, because a stalled one enforces no limits. A stalled keeper is sent SIGCONT; after `maxStalls` it is killed, and the agent takes its runs
   * over.
   */
  #pingAll(): void {
    for (const { dir, identity, link } of this.#live.values()) {
      if (link.version !== protocolVersion) continue;
      const stalls = this.#stalls.get(dir) ?? { times: 0, answered: 0 };
      this.#stalls.set(dir, stalls);
      const unanswered = link.ping();
      if (unanswered === 0 && (stalls.answered += 1) > forgivingPings) stalls.times = 0;
      if (unanswered < stalledPings) continue;
      stalls.answered = 0;
      stalls.times += 1;
      const { pid } = link;
      this.#options.logger.warn("a keeper does not answer", { pid, identity, unanswered, times: stalls.times });
      signal(pid, stalls.times < maxStalls ? "SIGCONT" : "SIGKILL");
    }
  }

  async #find(name: string): Promise<void> {
    const dir = join(this.#dir, name);
    const keeper = await this.#connect(name, isAlive(dir) ? reconnectTimeoutMs : 0).catch(() => undefined);
    if (!keeper) this.#lose(dir, undefined);
    // A keeper of another protocol version takes no new runs. The agent reads it until it is empty.
    else if (keeper.link.version !== protocolVersion) keeper.link.retire();
  }

  async #start(id: string, { uid, gid, groups }: TaskToRun["identity"]): Promise<Keeper> {
    const { bootId, env, logger } = this.#options;
    const name = `${id}.${shortBoot(bootId)}.${randomBytes(4).toString("hex")}`;
    const dir = join(this.#dir, name);
    const becomes = process.getuid?.() === 0 ? { identity: { uid, gid, groups } } : {};
    let log: number | undefined;
    try {
      mkdirSync(dir, { mode: 0o700 });
      log = openSync(join(dir, "keeper.log"), "a", 0o600);
      const cgroups = this.#options.cgroups?.make(name);
      const options: KeeperOptions = { dir, socket: this.#socketOf(name), ...(cgroups ? { cgroups } : {}), ...becomes };
      // Detached into its own session, because it outlives this process.
      const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, JSON.stringify(options)], {
        detached: true,
        stdio: ["ignore", log, log],
        cwd: "/",
        env: { ...env },
      });
      let hasFailed = false;
      child.on("error", () => {
        hasFailed = true;
      });
      child.unref();
      const keeper = await this.#connect(name, startTimeoutMs, () => hasFailed || child.exitCode !== null);
      logger.info("started a keeper", { uid, pid: keeper.link.pid });
      return keeper;
    } catch (cause) {
      const said = readEnd(join(dir, "keeper.log"));
      logger.error("a keeper could not be started", { uid, said, error: cause });
      this.removeDir(dir);
      throw new AppError("unavailable", "KEEPER_FAILED", `the keeper of uid ${uid} could not be started`, { cause });
    } finally {
      if (log !== undefined) closeSync(log);
    }
  }

  /** Retries until the keeper answers, `forMs` has passed, or its process ended. */
  async #connect(name: string, forMs: number, hasEnded = (): boolean => false): Promise<Keeper> {
    const until = performance.now() + forMs;
    for (;;) {
      try {
        const dir = join(this.#dir, name);
        const identity = name.slice(0, name.indexOf("."));
        const link: KeeperLink = await connectKeeper(this.#socketOf(name), {
          onRecords: (runs) => this.#options.onRecords(keeper, runs),
          onGone: () => void this.#onGone(keeper),
        });
        const keeper: Keeper = { dir, identity, link };
        this.#live.set(dir, keeper);
        return keeper;
      } catch (error) {
        if (performance.now() >= until || hasEnded()) throw error;
        await new Promise((resolve) => setTimeout(resolve, connectEveryMs));
      }
    }
  }

  async #onGone(before: Keeper): Promise<void> {
    if (this.#closed || this.#live.get(before.dir) !== before) return;
    this.#live.delete(before.dir);
    this.#stalls.delete(before.dir);
    const back = await this.#connect(nameOf(before.dir), isAlive(before.dir) ? reconnectTimeoutMs : 0).catch(
      () => undefined,
    );
    if (this.#closed) return;
    if (back) this.#options.onReconnected(back, before);
    else this.#loseOrRetry(before);
  }

  /** Taking over fails as a whole while no descriptor is free, and is tried again. */
  #loseOrRetry(before: Keeper): void {
    try {
      this.#lose(before.dir, before);
    } catch (error) {
      this.#options.logger.warn("the runs of a dead keeper cannot be taken over yet", { pid: before.link.pid, error });
      setTimeout(() => this.#closed || this.#loseOrRetry(before), reconnectTimeoutMs).unref();
    }
  }

  #lose(dir: string, before: Keeper | undefined): void {
    const lost = join(this.#lostDir, nameOf(dir));
    if (!isAlive(dir)) this.#options.cgroups?.endUnsorted(nameOf(dir));
    rmSync(this.#socketOf(nameOf(dir)), { force: true });
    if (existsSync(dir)) renameSync(dir, lost);
    this.#options.onLost(lost, before);
  }

  #isOfThisBoot(name: string): boolean {
    return name.split(".")[1] === shortBoot(this.#options.bootId);
  }

  #socketOf(name: string): string {
    return join(this.#options.runDir, `keeper-${name.slice(name.lastIndexOf(".") + 1)}.sock`);
  }
}

/** The end of a text; empty where it cannot be read. */
function readEnd(path: string): string {
  try {
    return readFileSync(path, "utf8").slice(-500);
  } catch {
    return "";
  }
}

function signal(pid: number, name: "SIGCONT" | "SIGKILL"): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended, so its connection closes.
  }
}

/** Whether the keeper of that directory is alive. */
function isAlive(dir: string): boolean {
  try {
    const { pid, startedAt } = JSON.parse(readFileSync(join(dir, "keeper.pid"), "utf8")) as {
      pid: number;
      startedAt: string;
    };
    const row = readProcess(pid);
    return (
      row !== undefined &&
      !row.isZombie &&
      (row.startedBootMs === undefined || row.startedBootMs === Number(startedAt) * 10)
    );
  } catch {
    return existsSync(dir); // the agent died while it started this keeper
  }
}
