import { randomUUID } from "node:crypto";
import { TaskStoreServiceService } from "@berth/contracts/store";
import { connectBus } from "@berth/nats";
import {
  createLogger,
  grpcChannel,
  grpcClient,
  internalAuthorization,
  problemService,
  Problems,
  requireInternal,
  runService,
  serveGrpc,
  serveMetrics,
  SetAside,
  startTelemetry,
} from "@berth/runtime";
import { watcherMetrics } from "./adapters/metrics.ts";
import { agentsWithSecret } from "./adapters/nats/known-agents.ts";
import { agesOf, readWatcherConfig } from "./config.ts";
import { startWatching } from "./start-watching.ts";
import type { Watching } from "./start-watching.ts";

await runService({
  name: "watcher",
  async start({ closing, signal }) {
    const config = readWatcherConfig(process.env);
    const logger = createLogger({ service: "watcher", level: config.logLevel });
    await startTelemetry({ service: "watcher", otlpUrl: config.otlpUrl, closing });

    const client = grpcClient(TaskStoreServiceService, grpcChannel(config.storage, { closing }), {
      service: "storage",
      authorization: internalAuthorization(config.clusterSecret),
    });
    const bus = connectBus({
      servers: config.natsUrl,
      user: config.natsUser,
      password: config.natsPassword,
      name: "watcher",
      closing,
      logger,
    });
    const problems = new Problems();
    const server = await serveGrpc({
      address: config.listen,
      services: [problemService(problems)],
      admit: requireInternal(config.clusterSecret),
      logger,
      closing,
    });
    const watching: Watching = startWatching(
      {
        client,
        bus,
        name: `watcher-${randomUUID()}`,
        lossMarginMs: config.lossMarginMs,
        ages: agesOf(config),
        housekeepingDeadlineMs: 600_000,
        instruments: watcherMetrics({
          live: () => watching.watcher.view.liveCount,
          lagMs: () => watching.watcher.lagMs,
        }),
        logger,
        agents: agentsWithSecret(config.clusterSecret, logger),
        setAside: new SetAside(problems, logger),
        problems,
        random: Math.random,
      },
      signal,
    );
    const { running } = watching;
    closing.add(async () => void (await running));
    const addresses = { grpc: server.address };
    if (config.metricsAddress === undefined) return { addresses, running };
    const metrics = await serveMetrics({
      address: config.metricsAddress,
      closing,
      logger,
      healthy: () => server.serving,
    });
    return { addresses: { ...addresses, metrics }, running };
  },
});
