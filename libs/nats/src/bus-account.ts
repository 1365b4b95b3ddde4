import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { AppError } from "@berth/core";
import { backoffMs, sleep } from "@berth/runtime";
import type { Closing, Logger } from "@berth/runtime";
import { loginOptions } from "./bus-login.ts";
import type { BusLogin } from "./bus-login.ts";

export interface BusAccountOptions extends BusLogin {
  readonly servers: string;
  readonly closing: Closing;
  readonly logger: Logger;
  /** The account as it is to be now, signed by the operator. */
  readonly accountJwt: () => Promise<string>;
  /** For tests: how often it is looked at again, in milliseconds. */
  readonly everyMs?: number;
}

/** Another copy of auth may have revoked somebody whom it could not tell nats-server of. */
const usualEveryMs = 30_000;

/**
 * Keeps the bus' account as it is to be: tells nats-server at each connection, since one that comes back empty knows its first form only; when it changes; and when
 * it is told to look. nats-server closes the connections of users that were revoked. The result resolves once it has answered; it rejects where it cannot be told now.
 */
export function keepBusAccount(options: BusAccountOptions): { update(): Promise<void> } {
  const { closing, logger, accountJwt } = options;
  const stop = new AbortController();
  let connection: NatsConnection | undefined;
  let told = "";

  async function tell(): Promise<void> {
    const jwt = await accountJwt();
    if (jwt === told) return;
    if (!connection)
      throw new AppError("unavailable", "BUS_AWAY", `the message bus at ${options.servers} does not answer`);
    const reply = await connection.request("$SYS.REQ.CLAIMS.UPDATE", jwt, { timeout: 5_000 });
    const { error } = JSON.parse(reply.string()) as { error?: unknown };
    if (error !== undefined) throw new Error(`nats-server refused the account: ${JSON.stringify(error)}`);
    told = jwt;
  }
  const tellOrLog = (): Promise<void> =>
    tell().catch((error: unknown) =>
      logger.warn("nats-server could not be told of revoked hosts; trying again", { error }),
    );

  async function watch(nats: NatsConnection): Promise<void> {
    for await (const { type } of nats.status()) {
      if (type !== "reconnect") continue;
      told = "";
      await tellOrLog();
    }
  }

  async function open(): Promise<void> {
    for (let attempt = 1; !stop.signal.aborted; attempt += 1) {
      try {
        connection = await connect({
          servers: options.servers.split(",").map((server) => server.trim()),
          ...loginOptions(options),
          name: "auth",
          timeout: 2_000,
          maxReconnectAttempts: -1,
          ignoreAuthErrorAbort: true,
          noAsyncTraces: true,
        });
        void watch(connection);
        return await tellOrLog();
      } catch (error) {
        if (attempt === 1 || attempt % 20 === 0)
          logger.warn("the bus does not answer yet", { servers: options.servers, attempt, error });
        await sleep(backoffMs(attempt, Math.random, { baseMs: 50, maxMs: 1_000 }), stop.signal).catch(() => {});
      }
    }
  }
  const opening = open();
  const timer = setInterval(() => void tellOrLog(), options.everyMs ?? usualEveryMs).unref();
  closing.add(async () => {
    stop.abort();
    clearInterval(timer);
    await opening;
    await connection?.close();
  });
  return { update: tell };
}
