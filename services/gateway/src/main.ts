import { readFileSync } from "node:fs";
import {
  FileServiceService,
  HostServiceService,
  SessionServiceService,
  TaskServiceService,
} from "@berth/contracts/api";
import { AuthServiceService } from "@berth/contracts/auth";
import { ScheduleServiceService } from "@berth/contracts/schedule";
import { FileStoreServiceService, TaskStoreServiceService } from "@berth/contracts/store";
import {
  bindService,
  createLogger,
  grpcChannel,
  grpcClient,
  internalAuthorization,
  runService,
  serveGrpc,
  serveMetrics,
  startTelemetry,
  traceparent,
} from "@berth/runtime";
import { check } from "./adapters/checks/check.ts";
import { submitRequest } from "./adapters/checks/task-spec.ts";
import { accessMiddleware, admitCallers } from "./adapters/grpc/access-middleware.ts";
import { fileService } from "./adapters/grpc/file-service.ts";
import { healthPeers, hostService } from "./adapters/grpc/host-service.ts";
import { sessionService } from "./adapters/grpc/session-service.ts";
import { taskService } from "./adapters/grpc/task-service.ts";
import { tokenVerifier } from "./adapters/jwt/token-verifier.ts";
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

    const authorization = internalAuthorization(config.clusterSecret);
    const channels = {
      storage: grpcChannel(config.storage, { closing }),
      auth: grpcChannel(config.auth, { closing }),
      scheduler: grpcChannel(config.scheduler, { closing }),
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
      check: (request, within) => check(submitRequest, request, within),
      traceparent,
    });
    const peers = (["storage", "auth", "scheduler", "watcher"] as const).flatMap((name) =>
      healthPeers(name, config[name] ?? "", { closing, authorization }),
    );
    const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
      version: string;
    };

    const server = await serveGrpc({
      address: config.listen,
      services: [
        bindService(TaskServiceService, taskService({ submits, store, files, scheduler })),
        bindService(FileServiceService, fileService(store, files)),
        bindService(HostServiceService, hostService({ store, peers, version })),
        bindService(SessionServiceService, sessionService(auth, sessions)),
      ],
      admit: admitCallers(sessions),
      middleware: [accessMiddleware(sessions, streamLimit(config.maxStreams))],
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
