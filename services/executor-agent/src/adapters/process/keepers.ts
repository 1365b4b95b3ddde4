import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "@berth/core";
import type { TaskToRun } from "@berth/plugins";
import type { Logger } from "@berth/runtime";
import type { HostCgroups } from "./host-cgroups.ts";
import { connectKeeper } from "./keeper-link.ts";
import type { KeeperLink } from "./keeper-link.ts";
import { protocolVersion } from "./keeper/protocol.ts";
import type { KeeperOptions, KeptRun } from "./keeper/protocol.ts";
import { readProcess } from "./process-table.ts";

/** A keeper of one identity, as long as it answers. */
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
  readonly onNews: (keeper: Keeper, runs: readonly KeptRun[]) => void;
  /** It answers again after a break; runs that it does not have never reached it. */
  readonly onBack: (keeper: Keeper, before: Keeper) => void;
  /** It is dead, or cannot be reached any more; what it wrote is in that directory now. */
  readonly onLost: (dir: string, before: Keeper | undefined) => void;
  /** What a keeper of before the machine's last boot wrote: how runs ended until then. */
  readonly onEarlierBoot: (dir: string) => void;
}

const startMs = 10_000;
const connectEveryMs = 5;
const reconnectMs = 1_000;
const beatMs = 1_000;
/** Unanswered beats in a row after which a keeper counts as standing still. */
const stoppedBeats = 2;
/** How often it may be found so; with that many beats answered in between it counts anew. */
const maxStalls = 4;
const forgivingBeats = 60;
const main = join(import.meta.dirname, "keeper", "main.ts");

/** The keepers of this host: found, started, and noticed when they die. */
export class Keepers {
  readonly #options: KeepersOptions;
  readonly #dir: string;
  readonly #lostDir: string;
  readonly #live = new Map<string, Keeper>();
  readonly #starting = new Map<string, Promise<Keeper>>();
  #closed = false;
  #beating: NodeJS.Timeout | undefined;
  /** How often a keeper was found standing still, and the beats that it answered since. */
  readonly #stalls = new Map<string, { times: number; answered: number }>();

  constructor(options: KeepersOptions) {
    this.#options = options;
    this.#dir = join(options.dataDir, "keepers");
    this.#lostDir = join(options.dataDir, "lost-keepers");
  }

  /** Connects to those of an earlier life of the agent; what a dead one wrote is handed on. */
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
    this.#beating = setInterval(() => this.#beat(), beatMs);
  }

  /** Lets go of all; they go on. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#beating);
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

  /** Ends those that keep nothing, of their own will. */
  retire(keeper: Keeper): void {
    if (!this.#live.delete(keeper.dir)) return;
    keeper.link.retire();
    keeper.link.drop();
    // Its directory goes once it is gone, at the next start at the latest.
    setTimeout(() => this.removeDir(keeper.dir), reconnectMs).unref();
  }

  /** Nothing in it is needed any more. */
  removeDir(dir: string): void {
    rmSync(this.#socketOf(nameOf(dir)), { force: true });
    rmSync(dir, { recursive: true, force: true });
    this.#options.cgroups?.remove(nameOf(dir));
  }

  /**
   * A keeper that does not answer holds its runs to no limit. One that was stopped is sent SIGCONT; one that is stopped again and again, or says nothing, is
   * killed, and its runs are the agent's then.
   */
  #beat(): void {
    for (const { dir, identity, link } of this.#live.values()) {
      if (link.version !== protocolVersion) continue;
      const stalls = this.#stalls.get(dir) ?? { times: 0, answered: 0 };
      this.#stalls.set(dir, stalls);
      const unanswered = link.ping();
      if (unanswered === 0 && (stalls.answered += 1) > forgivingBeats) stalls.times = 0;
      if (unanswered < stoppedBeats) continue;
      stalls.answered = 0;
      stalls.times += 1;
      const { pid } = link;
      this.#options.logger.warn("a keeper does not answer", { pid, identity, unanswered, times: stalls.times });
      signal(pid, stalls.times < maxStalls ? "SIGCONT" : "SIGKILL");
    }
  }

  async #find(name: string): Promise<void> {
    const dir = join(this.#dir, name);
    const keeper = await this.#connect(name, isAlive(dir) ? reconnectMs : 0).catch(() => undefined);
    if (!keeper) this.#lose(dir, undefined);
    // One of an older version is read until it is empty.
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
      // A session of its own, and nothing of ours: it outlives this process.
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
      const keeper = await this.#connect(name, startMs, () => hasFailed || child.exitCode !== null);
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

  /** Tries until it answers, the time is over, or its process ended. */
  async #connect(name: string, forMs: number, hasEnded = (): boolean => false): Promise<Keeper> {
    const until = performance.now() + forMs;
    for (;;) {
      try {
        const dir = join(this.#dir, name);
        const identity = name.slice(0, name.indexOf("."));
        const link: KeeperLink = await connectKeeper(this.#socketOf(name), {
          onNews: (runs) => this.#options.onNews(keeper, runs),
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
    const back = await this.#connect(nameOf(before.dir), isAlive(before.dir) ? reconnectMs : 0).catch(() => undefined);
    if (this.#closed) return;
    if (back) this.#options.onBack(back, before);
    else this.#lose(before.dir, before);
  }

  #lose(dir: string, before: Keeper | undefined): void {
    const lost = join(this.#lostDir, nameOf(dir));
    if (!isAlive(dir)) this.#options.cgroups?.endUnsorted(nameOf(dir));
    rmSync(this.#socketOf(nameOf(dir)), { force: true });
    renameSync(dir, lost);
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
    // gone meanwhile: its connection closes
  }
}

const nameOf = (dir: string): string => dir.slice(dir.lastIndexOf("/") + 1);
const shortBoot = (bootId: string): string => bootId.replaceAll(/[^0-9a-zA-Z]/g, "").slice(0, 8);

/** One keeper an identity: it cannot change its groups. */
const identityKey = ({ uid, gid, groups }: TaskToRun["identity"]): string =>
  `${uid}-${gid}${
    groups.length === 0
      ? ""
      : `-${createHash("sha256")
          .update(groups.toSorted((a, b) => a - b).join())
          .digest("hex")
          .slice(0, 8)}`
  }`;

/** Whether the keeper that wrote its pid there lives. */
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
    return existsSync(dir); // being started when its agent died
  }
}
