import { readFileSync } from "node:fs";
import { runGrpcService, traceparent } from "@berth/runtime";
import { requestChecks } from "./adapters/checks/request-checks.ts";
import { accessMiddleware, admitCallers } from "./adapters/grpc/access-middleware.ts";
import { openClients } from "./adapters/grpc/clients.ts";
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

await runGrpcService("gateway", readGatewayConfig, ({ config, trust, closing }) => {
  const { store, files, auth, scheduler } = openClients(config, { trust, closing });
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
    healthPeers(name, config[name] ?? "", { closing, authorization: trust.authorization, ...trust.to(name) }),
  );
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const api = makeApi({ checks: requestChecks, store, files, auth, scheduler, sessions, submits, peers, version });

  return {
    services: grpcServices(api),
    door: {
      ...trust.publicDoor,
      admit: admitCallers(api.authorize),
      limits: { boundsCallers: true, connectionsPerAddress: config.maxConnectionsPerAddress },
      middleware: [accessMiddleware(api.authorize, streamLimit(config.maxStreams))],
    },
  };
});
