import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import type { Logger } from "./logger.ts";
import { counter } from "./metrics.ts";
import { networkOf } from "./network-address.ts";

/** Refusals are logged no more often than this. */
const logEveryMs = 60_000;

export interface ConnectionLimitOptions {
  /** Of the server on this machine. */
  readonly port: number;
  /** Connections of one address, as `networkOf` counts it. */
  readonly mostPerAddress: number;
  readonly logger: Logger;
}

/**
 * Closes a new connection if its address already has `most` of them on this port, because a connection costs memory before its first call and the limits of
 * calls do not count it. Returns a function that ends this. gRPC does not expose the listening socket, so it uses Node's diagnostics channel for accepted
 * connections.
 */
export function limitConnections({ port, mostPerAddress, logger }: ConnectionLimitOptions): () => void {
  const open = new Map<string, number>();
  const refused = counter("berth_connections_refused_total", "Connections closed because their address had too many");
  let loggedAt = -Infinity;

  function onSocket(told: unknown): void {
    const { socket } = told as { readonly socket: Socket };
    if (socket.localPort !== port || socket.remoteAddress === undefined) return;
    const address = networkOf(socket.remoteAddress);
    const count = open.get(address) ?? 0;
    if (count >= mostPerAddress) {
      socket.destroy();
      refused.inc();
      if (performance.now() - loggedAt < logEveryMs) return;
      loggedAt = performance.now();
      logger.warn("closed a connection: its address has too many", { address, most: mostPerAddress });
      return;
    }
    open.set(address, count + 1);
    socket.once("close", () => {
      const left = open.get(address)! - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
  }

  subscribe("net.server.socket", onSocket);
  return () => void unsubscribe("net.server.socket", onSocket);
}
