import { existsSync } from "node:fs";
import { createServer } from "nice-grpc";
import type { ServiceImplementation } from "nice-grpc";
import type { ServerCredentials, ServerOptions, ServiceDefinition } from "@grpc/grpc-js";
import type { ServerMiddleware } from "nice-grpc-common";
import { maxMessageBytes } from "@berth/contracts/channel";
import { hostPort, isLoopback, parseAddress, removeStaleSocket } from "./address.ts";
import type { Closing } from "./closing.ts";
import { admission } from "./grpc-admission.ts";
import type { Admit, AdmissionOptions, Admitted } from "./grpc-admission.ts";
import { limitConnections } from "./connection-limit.ts";
import { callMiddleware } from "./grpc-call.ts";
import type { AdmittedContext } from "./grpc-call.ts";
import { Health, healthService } from "./grpc-health.ts";
import { reflection, reflectionServices } from "./grpc-reflection.ts";
import type { Logger } from "./logger.ts";
import { keepUnreadable } from "./unreadable-message.ts";

export type { ServiceImplementation } from "nice-grpc";
export type { CallContext, ServerMiddleware } from "nice-grpc-common";

/** A service and its implementation, of matching types; made by `bindService`. */
export interface BoundService {
  readonly definition: ServiceDefinition;
  readonly implementation: unknown;
}

/** `Ext` is what middleware adds to the call context; it is taken from a typed `ServiceImplementation<…, Ext>`. */
export const bindService = <D extends ServiceDefinition, Ext = object>(
  definition: D,
  implementation: ServiceImplementation<D, Ext>,
): BoundService => ({
  definition,
  implementation,
});

export interface GrpcServerOptions<A extends Admitted = Admitted> {
  /** `127.0.0.1:0`, or `unix:/path`; a stale socket file is removed. */
  readonly address: string;
  readonly services: readonly BoundService[];
  /** Decides by the headers who may call what. Messages of refused callers are not read. */
  readonly admit: Admit<A>;
  /** TLS credentials; without them the server uses plain text, which is only for this machine. */
  readonly credentials?: ServerCredentials;
  /** Invoked in this order, inside the mapping of errors; an AppError refuses the call. */
  readonly middleware?: readonly ServerMiddleware<object, AdmittedContext<A>>[];
  readonly logger: Logger;
  readonly closing: Closing;
  /** How long open calls may continue when the server stops. */
  readonly drainMs?: number;
  /** Limit of a unary call, whatever deadline its client set. */
  readonly deadlineMs?: number;
  /** Limits of callers. */
  readonly limits?: AdmissionOptions;
  /** Start as NOT_SERVING; the service says `setServing(true)` itself. */
  readonly notReadyYet?: boolean;
}

export interface GrpcServer {
  /** The bound address, with the port that the system chose. */
  readonly address: string;
  readonly serving: boolean;
  /** The state that `grpc.health.v1` reports. */
  setServing(serving: boolean): void;
}

/** HTTP/2 streams per connection. More than the limit per caller, because a client above this one waits silently instead of getting an error. */
const streamsPerConnection = 20_000;

/** Much shorter than the rest of a certificate's life at its renewal. */
const connectionAgeMs = 3_600_000;

const descriptors = new URL("../../contracts/src/gen/descriptors.binpb", import.meta.url);

/**
 * Serves gRPC with health, reflection, deadlines, metrics, spans and AppErrors. Closing it first reports NOT_SERVING and ends streams with `unavailable`
 * SERVER_STOPPING, then waits up to `drainMs` for open calls, then cuts them.
 */
export async function serveGrpc<A extends Admitted>(options: GrpcServerOptions<A>): Promise<GrpcServer> {
  const { services, logger, drainMs = 5_000, deadlineMs = 60_000 } = options;
  const address = parseAddress(options.address);
  const names = services.map(({ definition }) => serviceName(definition));
  const health = new Health(names);
  const draining = new AbortController();

  let server = createServer({
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    // Limits how long a client that vanished keeps its streams open.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    // Closes a connection without calls; the client's next call opens a new one.
    "grpc.max_connection_idle_ms": 300_000,
    // Makes clients reconnect from time to time, with the certificate that they have then. Open calls stay.
    ...(options.credentials ? { "grpc.max_connection_age_ms": connectionAgeMs } : {}),
    // A service has one connection, with one stream per watch of a user.
    ...(options.limits?.boundsCallers ? { "grpc.max_concurrent_streams": streamsPerConnection } : {}),
    interceptors: [admission(options.admit, options.limits)],
  } as ServerOptions).use(callMiddleware({ logger, deadlineMs, draining: draining.signal }));
  for (const each of options.middleware ?? []) server = server.use(each as ServerMiddleware<object, AdmittedContext>); // `admit` returned an A
  for (const { definition, implementation } of services)
    server.add(keepUnreadable(definition), implementation as ServiceImplementation<ServiceDefinition>);
  server.add(healthService, health.implementation);
  if (existsSync(descriptors)) {
    for (const definition of reflectionServices) server.add(definition, reflection(descriptors, names));
  }

  if (address.kind === "unix") await removeStaleSocket(address.path);
  const port = await server.listen(
    address.kind === "unix" ? `unix:${address.path}` : hostPort(address.host, address.port),
    options.credentials,
  );
  if (!options.credentials && address.kind === "tcp" && !isLoopback(address.host))
    logger.warn("serves plain text where other machines may read it; berth init makes certificates", {
      address: hostPort(address.host, port),
    });
  if (!options.notReadyYet) health.set(true);
  const { connectionsPerAddress: mostPerAddress } = options.limits ?? {};
  if (mostPerAddress !== undefined && address.kind === "tcp")
    options.closing.add(limitConnections({ port, mostPerAddress, logger }));
  options.closing.add(async () => {
    health.set(false);
    draining.abort();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => void (timer = setTimeout(resolve, drainMs)));
    await Promise.race([server.shutdown(), late]);
    clearTimeout(timer);
    server.forceShutdown();
  });
  return {
    address: address.kind === "unix" ? options.address : hostPort(address.host, port),
    get serving() {
      return health.serving;
    },
    setServing: (serving) => health.set(serving),
  };
}

/** Service of a method's path: `berth.api.v1.TaskService` for `/berth.api.v1.TaskService/GetTask`. */
function serviceName(definition: ServiceDefinition): string {
  const method = Object.values(definition)[0];
  if (!method) throw new Error("a service without methods");
  return method.path.split("/")[1]!;
}
