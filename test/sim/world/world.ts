import { outcomeFromWire } from "@berth/contracts";
import { openSqlite } from "@berth/database";
import type { Database } from "@berth/database";
import { AppError, GiB } from "@berth/core";
import type { Scheduler } from "@berth/scheduler";
import { migrations } from "@berth/storage";
import { BusServer } from "./bus.ts";
import { Client, makeWishes } from "./client.ts";
import { DeclaredWindow } from "./declared-window.ts";
import { Invariants } from "./invariants.ts";
import { SimDisk } from "./journal.ts";
import type { End } from "./last-invariants.ts";
import { Machine } from "./machine.ts";
import { diskFull, mortalDatabase } from "./mortal-database.ts";
import { Network, Node } from "./network.ts";
import { newPost } from "./post.ts";
import type { Post } from "./post.ts";
import { seeded } from "./random.ts";
import type { Random } from "./random.ts";
import { startAgent, startScheduler, startStorage, startWatcher } from "./services.ts";
import { storeClient } from "./store-client.ts";
import type { StoreClient, StoreService } from "./store-client.ts";
import { Life, VirtualTime } from "./time.ts";
import type { Trace } from "./trace.ts";
import { readLastRevision } from "./truth.ts";
import { watchMachine } from "./watch-machine.ts";

/** One simulated cluster, from a seed. */
export class World {
  readonly time = new VirtualTime();
  readonly trace: Trace;
  readonly random: Random;
  readonly network: Network;
  readonly bus: BusServer;
  readonly database: Database;
  readonly posts = new Map<string, Post>();
  readonly machines = new Map<string, Machine>();
  readonly disks = new Map<string, SimDisk>();
  readonly client: Client;
  readonly invariants: Invariants;
  readonly problems: string[] = [];
  /** Cpu by `task#attempt` of ends that a machine saw and could tell. */
  readonly used = new Map<string, number>();
  readonly wishes: number;
  /** Until when things go wrong. */
  readonly stormMs: number;
  readonly #users = new Life("users");
  readonly #processRandom: Random;
  readonly #services = new Map<Life, StoreService>();
  readonly #schedulers = new Map<Life, Scheduler>();
  /** Revision up to which a node has read the feed. */
  readonly #read = new Map<Node, number>();
  readonly #window: DeclaredWindow;
  #committed = false;
  /** Last revision after which the invariants were looked at. */
  #checked = 0;

  constructor(seed: number, trace: Trace) {
    this.trace = trace;
    this.random = seeded(seed * 4);
    this.#processRandom = seeded(seed * 4 + 2);
    const say = (what: string): void => this.say(what);
    this.network = new Network(this.time, seeded(seed * 4 + 1), say, (error) => this.#bug("a call", error));
    this.bus = new BusServer(this.network, seeded(seed * 4 + 3));
    this.database = openSqlite(":memory:", { migrations });
    const storage: Post = this.#post("storage", "storage", (surroundings) => {
      const { life } = surroundings;
      const database = mortalDatabase(this.database, life, {
        fails: () => this.random.chance(storage.node.failingWrites),
        onWrite: (when) => this.#write(storage, life, when, "a commit"),
        onCommitted: () => (this.#committed = true),
      });
      const started = startStorage(database, surroundings);
      this.#services.set(surroundings.life, started.service);
      return started;
    });
    for (const n of [1, 2]) {
      this.#post(`scheduler-${n}`, "scheduler", (surroundings, store) => {
        const started = startScheduler({ ...surroundings, store });
        this.#schedulers.set(surroundings.life, started.scheduler);
        surroundings.life.onDeath(() => this.#schedulers.delete(surroundings.life));
        return started;
      });
      this.#post(`watcher-${n}`, "watcher", (surroundings, store) => startWatcher({ ...surroundings, store }));
    }
    const hosts = this.random.int(2, 4);
    for (let n = 1; n <= hosts; n++) this.#addHost(`h${n}`);
    const users = new Node("users");
    users.life = this.#users;
    this.#window = new DeclaredWindow({
      database: this.database,
      machines: this.machines,
      agentOf: (hostId) => this.posts.get(`agent-${hostId}`)!.node,
      nowMs: () => this.time.nowMs,
    });
    this.stormMs = this.random.pick([30_000, 60_000, 60_000, 100_000]);
    this.wishes = this.random.int(4, 24);
    this.client = new Client(
      this.#storeClient(users, storage.node),
      makeWishes(this.random, this.wishes),
      this.random,
      (what) => this.problem("client", what),
      say,
    );
    this.invariants = new Invariants({
      database: this.database,
      client: this.client,
      machines: this.machines,
      mayOverlap: (processes) => this.#window.covers(processes),
      problem: this.problem,
    });
  }

  say(what: string): void {
    this.trace.add(this.time.nowMs, what);
  }

  readonly problem = (invariant: string, what: string): void => {
    this.say(`BROKEN ${invariant}: ${what}`);
    this.problems.push(`${invariant}: ${what}`);
  };

  /** Does something as the users do. */
  asUsers(delayMs: number, fn: () => Promise<void>): void {
    this.time.at(this.#users, delayMs, () => void fn().catch((error: unknown) => this.#bug("a user", error)));
  }

  after(delayMs: number, fn: () => void): void {
    this.time.at(this.time.world, delayMs, fn);
  }

  /** Begins another life at a post; nothing where one is under way. */
  start(post: Post): void {
    const { node } = post;
    if (node.life?.alive || post.down) return;
    const life = new Life(`${node.name}/${++post.lives}`);
    life.rate = post.rate;
    life.wallOffsetMs = post.wallOffsetMs;
    node.life = life;
    node.awakeSinceMs = this.time.nowMs;
    const stop = new AbortController();
    post.stop = stop;
    this.say(`${life.name} starts`);
    this.time.at(life, 0, () => {
      const { bus } = this;
      const surroundings = { life, node, bus, logger: this.trace.logger(this.time, life), random: this.#processRandom };
      const store = this.#storeClient(node, this.posts.get("storage")!.node);
      // A start that throws is a service that ends.
      const running = (async () => post.start({ ...surroundings, signal: stop.signal }, store).running)();
      running.then(
        () => {
          if (!life.alive) return;
          if (!stop.signal.aborted) this.problem("services", `${life.name} ended by itself`);
          this.kill(post, "has ended");
        },
        (error: unknown) => {
          // Who cannot write at its start ends, and is started again.
          const isExcused = stop.signal.aborted || AppError.from(error).reason === "DISK_FULL";
          if (life.alive && !isExcused) this.#bug(life.name, error);
          if (life.alive) this.kill(post, "has failed");
        },
      );
    });
  }

  /** Stops a process for a while, as SIGSTOP does. */
  stall({ node }: Post, forMs: number): void {
    const { life } = node;
    if (!life?.alive || life.paused) return;
    this.say(`${life.name} stalls for ${Math.round(forMs)} ms`);
    this.time.pause(life);
    this.after(forMs, () => this.wake(node));
  }

  wake(node: Node): void {
    if (!node.life?.paused) return;
    node.awakeSinceMs = this.time.nowMs;
    this.time.resume(node.life);
  }

  /** An operator says that a host is lost with all that is there. Rightly or not: what runs there is theirs to answer for. */
  async declareLost(hostId: string): Promise<void> {
    await this.client.declareLost(hostId, () => this.#window.declareLost(hostId));
  }

  /** Kills the process at a post; its supervisor starts the next one a while later. */
  kill(post: Post, how = "is killed"): void {
    const { life } = post.node;
    if (!life?.alive) return;
    this.say(`${life.name} ${how}`);
    post.node.dieAtWrite = undefined;
    life.kill();
    this.after(this.random.spread(50, 8_000), () => this.start(post));
  }

  /** Runs that ended there and were not settled need not be reported any more: after a boot they may be judged as lost. */
  forgetEnds(hostId: string): void {
    for (const { run } of this.machines.get(hostId)!.processes.values())
      this.used.delete(`${run.taskId}#${run.attempt}`);
  }

  /** Invariants of the last step. */
  step(): void {
    if (!this.#committed) return;
    this.#committed = false;
    // Leases are renewed all the time; what changes a task is announced.
    const revision = readLastRevision(this.database);
    if (revision === this.#checked) return;
    this.#checked = revision;
    this.invariants.onCommit();
  }

  /** The scheduler that leads and has read everything, if there is one. */
  settledLeader(lastRevision: number): Scheduler | undefined {
    for (const [life, scheduler] of this.#schedulers) {
      const { node } = this.posts.get(life.name.slice(0, life.name.indexOf("/")))!;
      if (life.alive && !life.paused && scheduler.term > 0 && (this.#read.get(node) ?? 0) >= lastRevision)
        return scheduler;
    }
    return undefined;
  }

  /** What the last invariants look at. */
  end(): Omit<End, "folded"> {
    this.invariants.onCommit(); // folding is not announced
    const { database, client, machines, problem, used } = this;
    const service = this.#services.get(this.posts.get("storage")!.node.life!)!;
    return {
      database,
      client,
      machines,
      problem,
      used,
      get: async (taskId) => {
        const { task } = await service.getTask({ taskId, user: "" }, {} as never);
        return {
          attempt: task?.attempt ?? 0,
          outcome: task && outcomeFromWire(task.outcome),
          cpuMs: task?.usage?.cpuMs ?? 0,
        };
      },
    };
  }

  close(): void {
    this.database.close();
  }

  #addHost(hostId: string): void {
    const capacity = { cpuMilli: this.random.pick([2000, 3000, 4000]), memoryBytes: this.random.pick([4, 6, 8]) * GiB };
    this.machines.set(hostId, new Machine(hostId, capacity, this.time, this.random, watchMachine(hostId, this)));
    this.disks.set(hostId, new SimDisk(`journal-${hostId}-1`));
    const post = this.#post(`agent-${hostId}`, "agent", (surroundings) => {
      const disk = this.disks.get(hostId)!;
      const journal = disk.open(
        surroundings.life,
        this.time,
        () => this.random.spread(0.2, 20),
        (when) => {
          if (when === "before" && this.random.chance(post.node.failingWrites)) throw diskFull();
          this.#write(post, surroundings.life, when, "the journal");
        },
      );
      return startAgent(surroundings, this.machines.get(hostId)!, disk, journal, () => this.time.nowMs);
    });
  }

  #post(name: string, kind: Post["kind"], start: Post["start"]): Post {
    const post = newPost(name, kind, start);
    this.posts.set(name, post);
    return post;
  }

  #storeClient(node: Node, storage: Node): StoreClient {
    return storeClient({
      network: this.network,
      from: node,
      storage,
      serviceOf: (life) => this.#services.get(life),
      onWrite: (when, method) => {
        const post = this.posts.get(node.name);
        if (post && this.time.current === node.life) this.#write(post, node.life, when, method);
      },
      onRead: (revision) => void this.#read.set(node, revision),
      trace: (what) => this.say(what),
    });
  }

  /** A write of that life: the moment in which it may die. */
  #write(post: Post, life: Life, when: "before" | "after", what: string): void {
    if (post.node.life !== life || !life.alive || post.node.dieAtWrite !== when) return;
    this.kill(post, `is killed ${when} ${what}`);
  }

  #bug(where: string, error: unknown): void {
    this.problem("bug", `${where}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
}
