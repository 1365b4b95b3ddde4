import { randomUUID } from "node:crypto";
import { ScheduleServiceService } from "@berth/contracts/schedule";
import { TaskStoreServiceService } from "@berth/contracts/store";
import { busLogin, connectBus } from "@berth/nats";
import { loadRanking } from "@berth/plugins";
import {
  bindService,
  createLogger,
  grpcChannel,
  grpcClient,
  problemService,
  Problems,
  openTrust,
  retry,
  runService,
  serveGrpc,
  serveMetrics,
  SetAside,
  sleep,
  startTelemetry,
} from "@berth/runtime";
import { grpcPlanStore } from "./adapters/grpc/plan-store.ts";
import { scheduleService } from "./adapters/grpc/schedule-service.ts";
import { schedulerMetrics } from "./adapters/metrics.ts";
import { natsDispatcher } from "./adapters/nats/dispatcher.ts";
import { Scheduler } from "./app/scheduler.ts";
import { readSchedulerConfig } from "./config.ts";
import { policyWith } from "./domain/cycle.ts";
import { filtersFor } from "./domain/filters.ts";
import { followDisabledUsers } from "./follow-disabled-users.ts";

await runService({
  name: "scheduler",
  async start({ closing, signal }) {
    const config = readSchedulerConfig(process.env);
    const logger = createLogger({ service: "scheduler", level: config.logLevel });
    await startTelemetry({ service: "scheduler", otlpUrl: config.otlpUrl, closing });

    const trust = openTrust(config, { role: "scheduler", closing, logger });
    const store = grpcClient(
      TaskStoreServiceService,
      grpcChannel(config.storage, { closing, ...trust.to("storage") }),
      { service: "storage", authorization: trust.authorization },
    );
    const bus = connectBus({
      servers: config.natsUrl,
      ...busLogin(config, trust.identity),
      name: "scheduler",
      closing,
      logger,
    });
    const ranking = await loadRanking(config.ranking, config.rankingConfig, logger);
    const instruments = schedulerMetrics({ pending: () => scheduler.pending, term: () => scheduler.term });

    const problems = new Problems();
    const setAside = new SetAside(problems, logger);
    const scheduler = new Scheduler({
      store: grpcPlanStore(store, `scheduler-${randomUUID()}`, { logger, setAside, problems }),
      setAside: (id, error) => setAside.add(id, error),
      onPlanned: (error) =>
        error === undefined
          ? problems.clear("PLAN_FAILED")
          : problems.set("PLAN_FAILED", `no plan could be made or stored: ${messageOf(error)}`),
      dispatcher: natsDispatcher({ bus, logger, onUndelivered: (_, count) => instruments.undelivered(count) }),
      policy: policyWith(ranking, filtersFor(config.requiredFeatures), { maxPlacements: config.maxPlacements }),
      requiredFeatures: config.requiredFeatures,
      instruments,
      logger,
      now: Date.now,
      monotonic: () => performance.now(),
      random: Math.random,
      sleep,
      retry: (fn, until) => retry(fn, { signal: until, baseMs: 20, maxMs: 500 }),
      leaseTtlMs: config.leaseTtlMs,
    });
    const known = followDisabledUsers(
      { auth: config.auth, trust, closing, logger },
      (users) => scheduler.setDisabledUsers(users),
      signal,
    );
    const server = await serveGrpc({
      address: config.listen,
      services: [bindService(ScheduleServiceService, scheduleService(scheduler)), problemService(problems)],
      ...trust.door,
      logger,
      closing,
    });
    const running = known.then(() => scheduler.run(signal));
    closing.add(() => running);
    if (config.metricsAddress === undefined) return { addresses: { grpc: server.address }, running };
    const metrics = await serveMetrics({
      address: config.metricsAddress,
      closing,
      logger,
      healthy: () => server.serving,
    });
    return { addresses: { grpc: server.address, metrics }, running };
  },
});

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
