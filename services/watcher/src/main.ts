import { randomUUID } from "node:crypto";
import type { AssignRequest, ReportReply, ReportRequest } from "@berth/contracts/agent";
import { TaskStoreServiceService } from "@berth/contracts/store";
import type { Host } from "@berth/contracts/types";
import { connectBus } from "@berth/nats";
import {
  createLogger,
  grpcChannel,
  grpcClient,
  internalAuthorization,
  requireInternal,
  runService,
  serveGrpc,
  serveMetrics,
  sleep,
  startTelemetry,
} from "@berth/runtime";
import { grpcRunStore, grpcTimerLease } from "./adapters/grpc/run-store.ts";
import { watcherMetrics } from "./adapters/metrics.ts";
import { natsWaker, serveAgents } from "./adapters/nats/agent-server.ts";
import { HouseKeeping } from "./app/house-keeping.ts";
import { runTimers } from "./app/timers.ts";
import { Watcher } from "./app/watcher.ts";
import { readWatcherConfig } from "./config.ts";

await runService({
  name: "watcher",
  async start({ closing, signal }) {
    const config = readWatcherConfig(process.env);
    const logger = createLogger({ service: "watcher", level: config.logLevel });
    await startTelemetry({ service: "watcher", otlpUrl: config.otlpUrl, closing });

    const authorization = internalAuthorization(config.clusterSecret);
    const client = grpcClient(TaskStoreServiceService, grpcChannel(config.storage, { closing }), {
      service: "storage",
      authorization,
    });
    const bus = connectBus({
      servers: config.natsUrl,
      user: config.natsUser,
      password: config.natsPassword,
      name: "watcher",
      closing,
      logger,
    });
    const instruments = watcherMetrics({ live: () => watcher.view.liveCount, lagMs: () => watcher.lagMs });
    const store = grpcRunStore(client, { logger, now: () => new Date(), onReports: instruments.reports });
    const watcher: Watcher<ReportRequest, ReportReply, Host, AssignRequest> = new Watcher({
      store,
      waker: natsWaker(bus),
      instruments,
      logger,
      now: () => performance.now(),
    });

    const server = await serveGrpc({
      address: config.listen,
      services: [],
      middleware: [requireInternal(config.clusterSecret)],
      logger,
      closing,
    });
    const lease = grpcTimerLease(client, `watcher-${randomUUID()}`);
    const dayMs = 86_400_000;
    const ages = {
      archiveAfterMs: Math.round(config.retentionDays * dayMs),
      deleteAfterMs: Math.round(config.retentionRecordsDays * dayMs),
    };
    const house = new HouseKeeping({
      step: (until) => client.keepHouse(ages, { signal: until, deadlineMs: 600_000 }),
      logger,
      now: () => performance.now(),
      sleep,
    });
    const timers = {
      lease,
      logger,
      ttlMs: 6_000,
      everyMs: 1_000,
      onTick: () => {
        house.onTick(signal);
        return watcher.onTick();
      },
      monotonic: () => performance.now(),
      random: Math.random,
      sleep,
    };
    const running = Promise.all([store.follow(watcher, signal), runTimers(timers, signal)]);
    closing.add(async () => void (await running));
    serveAgents(bus, watcher, signal);
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
