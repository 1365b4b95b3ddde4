export { agentProof, isProof } from "./agent-proof.ts";
export { hostPort, listenOn, parseAddress, removeStaleSocket, type Address } from "./address.ts";
export { batcher, type BatcherOptions } from "./batcher.ts";
export { Cache } from "./cache.ts";
export { Closing } from "./closing.ts";
export {
  busKeys,
  flag,
  mongoUrl,
  readConfig,
  serverKeys,
  serviceKeys,
  trustKeys,
  type ConfigSource,
} from "./config.ts";
export { followFeed, type FeedReader, type FollowOptions } from "./follow-feed.ts";
export { internalAuthorization, isOpenMethod, requireInternal } from "./grpc-access.ts";
export { callerKey, type Admit, type Admitted } from "./grpc-admission.ts";
export type { AdmittedContext } from "./grpc-call.ts";
export { healthService } from "./grpc-health.ts";
export { grpcChannel, grpcClient, type CallExtras, type GrpcClient, type GrpcClientOptions } from "./grpc-client.ts";
export {
  bindService,
  serveGrpc,
  type BoundService,
  type CallContext,
  type GrpcServer,
  type GrpcServerOptions,
  type ServerMiddleware,
  type ServiceImplementation,
} from "./grpc-server.ts";
export { authorityFile, busCredentialsFile, identityFile, openIdentity, type IdentityFiles } from "./identity-files.ts";
export { lateService } from "./late-service.ts";
export { openLate, type OpenLateOptions } from "./open-late.ts";
export { LeaseKeeper, type LeaseAnswer, type LeaseKeeperOptions } from "./lease-keeper.ts";
export { maxMessageBytes } from "@berth/contracts/channel";
export { createLogger, silentLogger, type LogFields, type Logger, type LoggerOptions } from "./logger.ts";
export { counter, gauge, histogram, serveMetrics, type MetricsOptions } from "./metrics.ts";
export { problemService, Problems } from "./problems.ts";
export { readableRows } from "./readable-rows.ts";
export { SetAside } from "./set-aside.ts";
export { splitOnFailure } from "./split-batch.ts";
export { backoffMs, isRetryable, retry, sleep, type RetryOptions } from "./retry.ts";
export {
  runGrpcService,
  type GrpcServiceConfig,
  type GrpcServiceContext,
  type GrpcServiceParts,
} from "./run-grpc-service.ts";
export { runService, type RunServiceOptions, type ServiceContext, type StartedService } from "./run-service.ts";
export {
  extract,
  inject,
  isTracing,
  openSpan,
  startTelemetry,
  tracer,
  traceparent,
  withSpan,
  type SpanOptions,
} from "./telemetry.ts";
export { admitByCertificate, openTrust, type IsRevoked, type Trust, type TrustKeys } from "./trust.ts";
export { guardNodeVersion } from "./version-guard.ts";
export { whileHeard, type WhileHeardOptions } from "@berth/contracts/while-heard";
