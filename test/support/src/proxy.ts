import { connect, createServer } from "node:net";
import type { AddressInfo, ListenOptions, NetConnectOpts, Socket } from "node:net";

export interface Proxy {
  /** Where it listens, if not on a socket file; else 0. */
  readonly port: number;
  close(): Promise<void>;
}

/** Stands between clients and a server: `join` says what passes of each connection. When either end closes, so does the other. */
export async function startProxy(
  target: NetConnectOpts,
  listen: ListenOptions,
  join: (client: Socket, upstream: Socket) => void,
): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    join(client, upstream);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(listen, resolve);
  });
  return {
    port: listen.path === undefined ? (server.address() as AddressInfo).port : 0,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
