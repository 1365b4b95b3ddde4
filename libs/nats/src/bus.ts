import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { AppError } from "@berth/core";
import type { Subject } from "@berth/contracts";
import { backoffMs, sleep } from "@berth/runtime";
import type { Closing, Logger } from "@berth/runtime";
import { loginOptions } from "./bus-login.ts";
import type { BusLogin } from "./bus-login.ts";
import { sendRequest, sendPublish } from "./outgoing.ts";
import type { RequestOptions } from "./outgoing.ts";
import { serveOn } from "./incoming.ts";
import type { Handler, ServeOptions } from "./incoming.ts";

export type { RequestOptions } from "./outgoing.ts";
export type { Incoming, ServeOptions } from "./incoming.ts";

export interface BusOptions extends BusLogin {
  /** `127.0.0.1:4222`, several with commas. */
  readonly servers: string;
  /** Shown by the server's own monitoring. */
  readonly name: string;
  readonly closing: Closing;
  readonly logger: Logger;
  /** Called at the first connection and after each reconnection. Messages sent between the two are lost. */
  readonly onConnected?: () => void;
}

/** Requests and answers between hosts and services. It carries; nothing that it loses is lost. */
export interface Bus {
  readonly connected: boolean;
  /** Resolves once connected and all that was served or published before has reached the server. */
  ready(signal?: AbortSignal): Promise<void>;
  /**
   * Sends a request to the server of `subject` for `host`. Fails with the server's AppError, or with `unavailable`: BUS_AWAY (not sent), NO_RESPONDER (no
   * server listens), DEADLINE_EXCEEDED (may have arrived). An abort throws the signal's reason.
   */
  request<Q, R>(subject: Subject<Q, R>, host: string, message: Q, options?: RequestOptions): Promise<R>;
  /** Publishes without an answer. Dropped silently if there is no connection or no subscriber. */
  publish<Q, R>(subject: Subject<Q, R>, host: string, message: Q): void;
  /** Answers `subject` for one host, or for all with "*", until the signal is aborted. It survives reconnects. */
  serve<Q, R>(subject: Subject<Q, R>, host: string, handler: Handler<Q, R>, options?: ServeOptions): void;
}

/**
 * A bus that connects in the background and reconnects for as long as it lives. It does not queue while the server is away, because callers have their own
 * retries and a stale message is useless.
 */
export function connectBus(options: BusOptions): Bus {
  const { logger, closing } = options;
  const stop = new AbortController();
  let up = false;
  let connection: NatsConnection | undefined;
  const waitingForServer: ((nats: NatsConnection) => void)[] = [];
  const first = Promise.withResolvers<NatsConnection>();
  first.promise.catch(() => {});

  function onUp(nats: NatsConnection): void {
    up = true;
    logger.info("bus connected", { server: nats.getServer() });
    options.onConnected?.();
  }

  async function watch(nats: NatsConnection): Promise<void> {
    for await (const status of nats.status()) {
      if (status.type === "disconnect") {
        up = false;
        logger.warn("bus lost its server; connecting again", { server: status.server });
      } else if (status.type === "reconnect") onUp(nats);
      else if (status.type === "error") logger.warn("bus error", { error: status.error });
    }
  }

  async function open(): Promise<void> {
    const nats = await firstConnection(options, stop.signal);
    connection = nats;
    void watch(nats);
    for (const serve of waitingForServer.splice(0)) serve(nats);
    onUp(nats);
    first.resolve(nats);
  }
  const opening = open().catch((error: unknown) => first.reject(error));

  closing.add(async () => {
    stop.abort(new Error("the bus is closed"));
    await opening;
    // Draining lets running handlers answer. If the server is away draining never ends, so it is limited to 2 s.
    if (up) await Promise.race([connection?.drain().catch(() => {}), sleep(2_000)]);
    await connection?.close();
    up = false;
  });

  const away = (): AppError =>
    new AppError("unavailable", "BUS_AWAY", `the message bus at ${options.servers} does not answer`);
  return {
    get connected() {
      return up;
    },
    async ready(signal) {
      const aborted = new Promise<never>((_, reject) =>
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true }),
      );
      signal?.throwIfAborted();
      const nats = await Promise.race([first.promise, aborted]);
      await Promise.race([nats.flush(), aborted]);
    },
    request: async (subject, host, message, request = {}) => {
      if (!up || !connection) throw away();
      return sendRequest(connection, subject, host, message, request);
    },
    publish(subject, host, message) {
      if (up && connection) sendPublish(connection, subject, host, message);
    },
    serve(subject, host, handler, serve = {}) {
      const start = (nats: NatsConnection): void => serveOn(nats, subject, host, handler, serve, logger);
      if (connection) start(connection);
      else waitingForServer.push(start);
    },
  };
}

/** Tries until it is connected or stopped; from then on the library reconnects by itself, without end. */
async function firstConnection(options: BusOptions, signal: AbortSignal): Promise<NatsConnection> {
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      const nats = await connect({
        servers: options.servers.split(",").map((server) => server.trim()),
        ...loginOptions(options),
        name: options.name,
        timeout: 2_000,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 100,
        reconnectJitter: 200,
        // A server that comes back half configured refuses everybody for a moment; that must not end us.
        ignoreAuthErrorAbort: true,
        // Half-open connections are found within 20 s; the default takes 4 minutes.
        pingInterval: 10_000,
        maxPingOut: 2,
        noAsyncTraces: true,
      });
      if (!signal.aborted) return nats;
      await nats.close();
    } catch (error) {
      if (attempt === 1 || attempt % 20 === 0)
        options.logger.warn("the bus does not answer yet", { servers: options.servers, attempt, error });
      await sleep(backoffMs(attempt, Math.random, { baseMs: 50, maxMs: 1_000 }), signal);
    }
  }
}
