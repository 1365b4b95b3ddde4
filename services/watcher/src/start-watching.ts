import type { RunHousekeepingRequest, TaskStoreServiceService } from "@berth/contracts/store";
import type { Bus } from "@berth/nats";
import { sleep } from "@berth/runtime";
import type { GrpcClient, Logger } from "@berth/runtime";
import { grpcRunStore, grpcTimerLease } from "./adapters/grpc/run-store.ts";
import type { RunStoreOptions } from "./adapters/grpc/run-store.ts";
import { natsWaker, serveAgents } from "./adapters/nats/agent-server.ts";
import type { KnownAgents } from "./adapters/nats/agent-server.ts";
import { Housekeeping } from "./app/housekeeping.ts";
import { runTimers } from "./app/timers.ts";
import { Watcher } from "./app/watcher.ts";
import type { Instruments } from "./ports/instruments.ts";

export interface WatchingDeps {
  readonly client: GrpcClient<typeof TaskStoreServiceService>;
  readonly bus: Bus;
  /** Its own name, by which it holds the lease of the timers. */
  readonly name: string;
  /** Between the end of a run's lease and giving it up, in milliseconds. */
  readonly lossMarginMs: number;
  /** When files and records of ended tasks go. */
  readonly ages: RunHousekeepingRequest;
  /** How long storage may take for one step of that, in milliseconds: a task may have very many files. */
  readonly housekeepingDeadlineMs: number;
  readonly instruments: Instruments & { readonly reports: RunStoreOptions["onReports"] };
  readonly logger: Logger;
  readonly agents: KnownAgents;
  readonly setAside: RunStoreOptions["setAside"];
  readonly problems: RunStoreOptions["problems"];
  readonly random: () => number;
}

export interface Watching {
  readonly watcher: Watcher;
  /** Whether this watcher holds the lease of the timers. */
  keepsTimers(): boolean;
  /** Resolves when all parts have ended; rejects if one of them failed. */
  readonly running: Promise<unknown>;
}

/** Puts a watcher together and lets it run until aborted: it follows the feed, answers agents, and runs the timers while it holds their lease. */
export function startWatching(deps: WatchingDeps, signal: AbortSignal): Watching {
  const {
    client,
    bus,
    name,
    lossMarginMs,
    ages,
    housekeepingDeadlineMs,
    instruments,
    logger,
    random,
    setAside,
    problems,
  } = deps;
  const monotonic = () => performance.now();
  const store = grpcRunStore(client, {
    logger,
    setAside,
    problems,
    now: () => new Date(),
    onReports: instruments.reports,
  });
  const watcher: Watching["watcher"] = new Watcher({
    store,
    waker: natsWaker(bus),
    instruments,
    logger,
    now: monotonic,
    lossMarginMs,
    canHear: () => bus.connected,
  });
  const listening = setInterval(() => watcher.listen(), 1_000);
  signal.addEventListener("abort", () => clearInterval(listening));
  const housekeeping = new Housekeeping({
    step: (until) => client.runHousekeeping(ages, { signal: until, deadlineMs: housekeepingDeadlineMs }),
    logger,
    now: monotonic,
    sleep,
  });
  let keepsTimers = false;
  const timers = {
    onHeld: (held: boolean) => void (keepsTimers = held),
    lease: grpcTimerLease(client, name),
    logger,
    ttlMs: 6_000,
    everyMs: 1_000,
    onTick() {
      housekeeping.onTick(signal);
      return watcher.onTick();
    },
    monotonic,
    random,
    sleep,
  };
  const running = Promise.all([store.follow(watcher, signal), runTimers(timers, signal)]);
  serveAgents(bus, watcher, deps.agents, signal);
  return { watcher, keepsTimers: () => keepsTimers, running };
}
