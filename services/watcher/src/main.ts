import { randomUUID } from "node:crypto";
import { TaskStoreServiceService } from "@berth/contracts/store";
import { busLogin, connectBus } from "@berth/nats";
import {
  createLogger,
  grpcChannel,
  grpcClient,
  problemService,
  Problems,
  openTrust,
  runService,
  serveGrpc,
  serveMetrics,
  SetAside,
  startTelemetry,
} from "@berth/runtime";
import { watcherMetrics } from "./adapters/metrics.ts";
import { agentsOfBus, agentsWithSecret } from "./adapters/nats/known-agents.ts";
import { agesOf, readWatcherConfig } from "./config.ts";
import { startWatching } from "./start-watching.ts";
import type { Watching } from "./start-watching.ts";

await runService({
  name: "watcher",
  async start({ closing, signal }) {
    const config = readWatcherConfig(process.env);
    const logger = createLogger({ service: "watcher", level: config.logLevel });
    await startTelemetry({ service: "watcher", otlpUrl: config.otlpUrl, closing });

    const trust = openTrust(config, { role: "watcher", closing, logger });
    const client = grpcClient(
      TaskStoreServiceService,
      grpcChannel(config.storage, { closing, ...trust.to("storage") }),
      { service: "storage", authorization: trust.authorization },
    );
    const bus = connectBus({
      servers: config.natsUrl,
      ...busLogin(config, trust.identity),
      name: "watcher",
      closing,
      logger,
    });
    const problems = new Problems();
    const server = await serveGrpc({
      address: config.listen,
      services: [problemService(problems)],
      ...trust.door,
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
        agents: trust.identity ? agentsOfBus : agentsWithSecret(config.clusterSecret ?? "", logger),
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
