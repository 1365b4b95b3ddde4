import type { ServiceRole } from "@berth/contracts";
import type { Admitted } from "./grpc-admission.ts";
import { serveGrpc } from "./grpc-server.ts";
import type { GrpcServer, GrpcServerOptions } from "./grpc-server.ts";
import { createLogger } from "./logger.ts";
import type { LogFormat, Logger, LoggerOptions } from "./logger.ts";
import { serveMetrics } from "./metrics.ts";
import { Problems } from "./problems.ts";
import { runService } from "./run-service.ts";
import type { ServiceContext } from "./run-service.ts";
import { startTelemetry } from "./telemetry.ts";
import { openTrust } from "./trust.ts";
import type { Trust, TrustKeys } from "./trust.ts";

/** Values of the keys in `serverKeys`. */
export interface GrpcServiceConfig extends TrustKeys {
  readonly logLevel: NonNullable<LoggerOptions["level"]>;
  readonly logFormat: LogFormat;
  readonly otlpUrl?: string | undefined;
  readonly listen: string;
  readonly metricsAddress?: string | undefined;
}

export interface GrpcServiceContext<C> extends ServiceContext {
  readonly config: C;
  readonly logger: Logger;
  readonly trust: Trust;
  readonly problems: Problems;
  /** For a service that started with `notReadyYet`: its health is SERVING from now on. May be called before the server listens. */
  nowReady(): void;
}

/** What a service serves, and its background work. */
export interface GrpcServiceParts<A extends Admitted = Admitted> extends Pick<
  GrpcServerOptions<A>,
  "services" | "notReadyYet"
> {
  /** Decides who may call; default: the cluster's own processes. */
  readonly door?: Pick<GrpcServerOptions<A>, "admit" | "credentials" | "limits" | "middleware">;
  /** Called once the server listens. The process ends when this work ends. */
  run?(): Promise<unknown>;
}

/**
 * The life of a process that serves gRPC, from reading its settings to its exit code (see `runService`). `start` makes what it serves; then its server listens,
 * its work runs, and its metrics are served where the settings say so.
 */
export const runGrpcService = <C extends GrpcServiceConfig, A extends Admitted = Admitted>(
  name: ServiceRole,
  readConfig: (env: NodeJS.ProcessEnv) => C,
  start: (context: GrpcServiceContext<C>) => GrpcServiceParts<A> | Promise<GrpcServiceParts<A>>,
): Promise<never> =>
  runService({
    name,
    async start({ closing, signal }) {
      const config = readConfig(process.env);
      const logger = createLogger({ service: name, level: config.logLevel, format: config.logFormat });
      await startTelemetry({ service: name, otlpUrl: config.otlpUrl, closing });
      const trust = openTrust(config, { role: name, closing, logger });
      const known: { ready: boolean; server?: GrpcServer } = { ready: false };
      const nowReady = (): void => {
        known.ready = true;
        known.server?.setServing(true);
      };
      const parts = await start({ config, logger, trust, problems: new Problems(), closing, signal, nowReady });
      const server = await serveGrpc<A>({
        address: config.listen,
        services: parts.services,
        ...(parts.door ?? (trust.door as typeof trust.door & { readonly admit: GrpcServerOptions<A>["admit"] })),
        logger,
        closing,
        notReadyYet: parts.notReadyYet ?? false,
      });
      known.server = server;
      if (known.ready) nowReady();
      const running = parts.run?.();
      const metrics =
        config.metricsAddress === undefined
          ? {}
          : {
              metrics: await serveMetrics({
                address: config.metricsAddress,
                closing,
                logger,
                healthy: () => server.serving,
              }),
            };
      return { addresses: { grpc: server.address, ...metrics }, ...(running ? { running } : {}) };
    },
  });
