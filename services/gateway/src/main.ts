import { readFileSync } from "node:fs";
import { AuthServiceService } from "@berth/contracts/auth";
import { ScheduleServiceService } from "@berth/contracts/schedule";
import { FileStoreServiceService, TaskStoreServiceService } from "@berth/contracts/store";
import {
  createLogger,
  grpcChannel,
  grpcClient,
  openTrust,
  runService,
  serveGrpc,
  serveMetrics,
  startTelemetry,
  traceparent,
} from "@berth/runtime";
import { requestChecks } from "./adapters/checks/request-checks.ts";
import { accessMiddleware, admitCallers } from "./adapters/grpc/access-middleware.ts";
import { grpcServices } from "./adapters/grpc/door.ts";
import { healthPeers } from "./adapters/grpc/health-peers.ts";
import { tokenVerifier } from "./adapters/jwt/token-verifier.ts";
import { makeApi } from "./app/api.ts";
import { makeLargestHosts } from "./app/largest-hosts.ts";
import { cachingResolver } from "./app/resolver.ts";
import { makeSessions } from "./app/sessions.ts";
import { streamLimit } from "./app/stream-limit.ts";
import { makeSubmits } from "./app/submit.ts";
import { readGatewayConfig } from "./config.ts";

await runService({
  name: "gateway",
  async start({ closing }) {
    const config = readGatewayConfig(process.env);
    const logger = createLogger({ service: "gateway", level: config.logLevel });
    await startTelemetry({ service: "gateway", otlpUrl: config.otlpUrl, closing });

    const trust = openTrust(config, { role: "gateway", closing, logger });
    const { authorization } = trust;
    const channels = {
      storage: grpcChannel(config.storage, { closing, ...trust.to("storage") }),
      auth: grpcChannel(config.auth, { closing, ...trust.to("auth") }),
      scheduler: grpcChannel(config.scheduler, { closing, ...trust.to("scheduler") }),
    };
    const store = grpcClient(TaskStoreServiceService, channels.storage, {
      service: "storage",
      authorization,
      idempotent: ["GetTask", "ListTasks", "ListHosts", "CountTasks", "RequestTasks"],
    });
    const files = grpcClient(FileStoreServiceService, channels.storage, {
      service: "storage",
      authorization,
      idempotent: ["ListFiles"],
    });
    const auth = grpcClient(AuthServiceService, channels.auth, {
      service: "auth",
      authorization,
      idempotent: [
        "Login",
        "ExchangeKey",
        "CheckSession",
        "GetKeySet",
        "ResolveSubmits",
        "GetUser",
        "ListKeys",
        "ListVolumes",
      ],
    });
    const scheduler = grpcClient(ScheduleServiceService, channels.scheduler, {
      service: "scheduler",
      authorization,
      idempotent: true,
      deadlineMs: 3_000,
    });

    const now = () => Date.now();
    const sessions = makeSessions({ auth, verify: tokenVerifier(auth, now), now });
    const submits = makeSubmits({
      store,
      resolver: cachingResolver(auth, { ttlMs: config.resolveTtlMs, now }),
      largestHosts: makeLargestHosts(scheduler, now),
      defaults: config,
      checks: requestChecks,
      traceparent,
    });
    const peers = (["storage", "auth", "scheduler", "watcher"] as const).flatMap((name) =>
      healthPeers(name, config[name] ?? "", { closing, authorization, ...trust.to(name) }),
    );
    const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    const api = makeApi({ checks: requestChecks, store, files, auth, scheduler, sessions, submits, peers, version });

    const server = await serveGrpc({
      address: config.listen,
      services: grpcServices(api),
      ...trust.publicDoor,
      admit: admitCallers(api.authorize),
      limits: { boundsCallers: true, connectionsPerAddress: config.maxConnectionsPerAddress },
      middleware: [accessMiddleware(api.authorize, streamLimit(config.maxStreams))],
      logger,
      closing,
    });
    if (config.metricsAddress === undefined) return { addresses: { grpc: server.address } };
    const metrics = await serveMetrics({
      address: config.metricsAddress,
      closing,
      logger,
      healthy: () => server.serving,
    });
    return { addresses: { grpc: server.address, metrics } };
  },
});
