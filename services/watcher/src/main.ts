import { randomUUID } from "node:crypto";
import { TaskStoreServiceService } from "@berth/contracts/store";
import { busLogin, connectBus } from "@berth/nats";
import { SetAside, grpcChannel, grpcClient, problemService, runGrpcService } from "@berth/runtime";
import { watcherMetrics } from "./adapters/metrics.ts";
import { agentsOfBus, agentsWithSecret } from "./adapters/nats/known-agents.ts";
import { agesOf, readWatcherConfig } from "./config.ts";
import { startWatching } from "./start-watching.ts";
import type { Watching } from "./start-watching.ts";

await runGrpcService("watcher", readWatcherConfig, ({ config, logger, trust, problems, closing, signal }) => {
  const client = grpcClient(TaskStoreServiceService, grpcChannel(config.storage, { closing, ...trust.to("storage") }), {
    service: "storage",
    authorization: trust.authorization,
  });
  const bus = connectBus({
    servers: config.natsUrl,
    ...busLogin(config, trust.identity),
    name: "watcher",
    closing,
    logger,
  });
  let watching: Watching | undefined;
  const activity = () => (watching?.keepsTimers() ? "keeps the timers" : "");
  return {
    services: [problemService(problems, activity)],
    run() {
      const started: Watching = startWatching(
        {
          client,
          bus,
          name: `watcher-${randomUUID()}`,
          lossMarginMs: config.lossMarginMs,
          ages: agesOf(config),
          housekeepingDeadlineMs: 600_000,
          instruments: watcherMetrics({
            live: () => started.watcher.view.liveCount,
            lagMs: () => started.watcher.lagMs,
          }),
          logger,
          agents: trust.identity ? agentsOfBus : agentsWithSecret(config.clusterSecret ?? "", logger),
          setAside: new SetAside(problems, logger),
          problems,
          random: Math.random,
        },
        signal,
      );
      watching = started;
      closing.add(async () => void (await started.running));
      return started.running;
    },
  };
});
