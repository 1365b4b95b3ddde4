import { randomUUID } from "node:crypto";
import { ScheduleServiceService } from "@berth/contracts/schedule";
import { TaskStoreServiceService } from "@berth/contracts/store";
import { busLogin, connectBus } from "@berth/nats";
import { loadRanking } from "@berth/plugins";
import {
  SetAside,
  bindService,
  grpcChannel,
  grpcClient,
  problemService,
  retry,
  runGrpcService,
  sleep,
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

await runGrpcService("scheduler", readSchedulerConfig, async ({ config, logger, trust, problems, closing, signal }) => {
  const store = grpcClient(TaskStoreServiceService, grpcChannel(config.storage, { closing, ...trust.to("storage") }), {
    service: "storage",
    authorization: trust.authorization,
  });
  const bus = connectBus({
    servers: config.natsUrl,
    ...busLogin(config, trust.identity),
    name: "scheduler",
    closing,
    logger,
  });
  const ranking = await loadRanking(config.ranking, config.rankingConfig, logger);
  const instruments = schedulerMetrics({ pending: () => scheduler.pending, term: () => scheduler.term });

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
  const activity = () => (scheduler.term > 0 ? `leads, term ${scheduler.term}` : "stands by");
  const known = followDisabledUsers({ auth: config.auth, trust, closing, logger }, scheduler, signal);
  return {
    services: [bindService(ScheduleServiceService, scheduleService(scheduler)), problemService(problems, activity)],
    run() {
      const running = known.then(() => scheduler.run(signal));
      closing.add(() => running);
      return running;
    },
  };
});

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
