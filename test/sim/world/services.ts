import type { Database } from "@berth/database";
import { Agent, busControlPlane, serveAgent, simFiles } from "@berth/executor-agent/parts";
import { fifoRanking } from "@berth/plugins";
import { retry, silentLogger, sleep } from "@berth/runtime";
import type { Logger } from "@berth/runtime";
import { grpcPlanStore, natsDispatcher, policyWith, Scheduler } from "@berth/scheduler";
import { runHousekeeping, sqliteTaskStore, taskStoreService } from "@berth/storage";
import type { FileStore } from "@berth/storage";
import { startWatching } from "@berth/watcher";
import { simBus } from "./bus.ts";
import type { BusServer } from "./bus.ts";
import type { SimDisk } from "./journal.ts";
import type { Machine } from "./machine.ts";
import type { Node } from "./network.ts";
import type { StoreClient, StoreService } from "./store-client.ts";
import type { Life } from "./time.ts";

/** What a process is started with: what `main.ts` would make of its configuration. */
export interface ProcessDeps {
  readonly life: Life;
  readonly node: Node;
  readonly bus: BusServer;
  readonly store: StoreClient;
  readonly logger: Logger;
  readonly random: () => number;
  /** Aborted for a graceful stop. */
  readonly signal: AbortSignal;
}

/** A started process; `running` settles when it ends by itself. */
export interface Started {
  readonly running: Promise<unknown>;
}

/** Tasks of the simulation have no files. */
const noFiles = { clean: async () => {}, createTaskDir: async () => {} } as unknown as FileStore;

/** Storage over a database that outlives it. */
export function startStorage(
  database: Database,
  { logger, signal }: Omit<ProcessDeps, "store">,
): Started & { readonly service: StoreService } {
  const store = sqliteTaskStore(database, { now: Date.now });
  return { service: taskStoreService(store, noFiles), running: runHousekeeping(store, logger, signal) };
}

/** Between the end of a run's lease and giving it up: more than clocks here may differ by within a lease. */
const lossMarginMs = 5_000;

/** Files go soon; records stay, so that the end can be checked. */
export const ages = { archiveAfterMs: 20_000, deleteAfterMs: 1_000_000_000 } as const;

const idle = (): void => {};

/** Nothing in a simulated cluster is unreadable, so a record left out fails the test by this log line. */
const unexpected = (logger: ProcessDeps["logger"]) => ({
  setAside: { add: (id: string, error: unknown) => logger.error("a record was left out", { id, error }), clear: idle },
  problems: { set: idle, clear: idle },
});

export function startScheduler({ life, node, bus, store, logger, random, signal }: ProcessDeps): Started & {
  readonly scheduler: Scheduler;
} {
  const scheduler = new Scheduler({
    store: grpcPlanStore(store, life.name, { logger, ...unexpected(logger) }),
    dispatcher: natsDispatcher({ bus: simBus(bus, node, life), logger: silentLogger }),
    policy: policyWith(fifoRanking()),
    setAside: (id, error) => unexpected(logger).setAside.add(id, error),
    onPlanned: idle,
    requiredFeatures: [],
    instruments: { cycle: idle, refused: idle, staleTerm: idle },
    logger,
    now: Date.now,
    monotonic: () => performance.now(),
    random,
    sleep,
    retry: (fn, until) => retry(fn, { signal: until, baseMs: 20, maxMs: 500 }),
    leaseTtlMs: 4_000,
  });
  return { scheduler, running: scheduler.run(signal) };
}

export function startWatcher({ life, node, bus, store, logger, random, signal }: ProcessDeps): Started {
  const { running } = startWatching(
    {
      client: store,
      bus: simBus(bus, node, life),
      name: life.name,
      lossMarginMs,
      ages,
      housekeepingDeadlineMs: 60_000,
      instruments: { sync: idle, verdict: idle, woke: idle, lost: idle, duplicateHostName: idle, reports: idle },
      logger,
      ...unexpected(logger),
      agents: { isProven: () => true, onStranger: idle },
      random,
    },
    signal,
  );
  return { running };
}

export function startAgent(
  { life, node, bus: server, logger, random, signal }: Omit<ProcessDeps, "store">,
  machine: Machine,
  disk: SimDisk,
  journal: ReturnType<SimDisk["open"]>,
  nowMs: () => number,
): Started {
  const { hostId } = machine;
  const bus = simBus(server, node, life, () => agent.wake());
  const agent: Agent = new Agent({
    hostId,
    agentId: `${hostId} ${machine.bootId}`,
    version: "simulated",
    driver: machine.driver(life),
    files: simFiles,
    deliver: (events) => events,
    journal,
    control: busControlPlane(bus, { hostId, agentId: `${hostId} ${machine.bootId}`, journalId: disk.id, proof: "" }),
    clock: { bootId: machine.bootId, now: () => ({ at: new Date(), elapsedMs: nowMs() - machine.bootedAtMs }) },
    random,
    logger,
    defaultImage: "",
    onEnd: () => {},
  });
  const running = agent.run(signal, () => serveAgent(bus, hostId, agent, signal));
  return { running };
}
