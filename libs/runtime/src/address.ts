import { rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import type { Server } from "node:net";
import { once } from "node:events";
import { AppError } from "@berth/core";

/** An address in Berth's settings: `host:port` or `unix:/path`. */
export type Address =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Throws `invalid` ADDRESS_INVALID. */
export function parseAddress(text: string): Address {
  if (text.startsWith("unix:")) return { kind: "unix", path: text.slice("unix:".length) };
  const match = /^(\[[0-9a-fA-F:]+\]|[^:[\]]+):(\d{1,5})$/.exec(text);
  if (!match || Number(match[2]) > 65_535) {
    throw new AppError("invalid", "ADDRESS_INVALID", `${JSON.stringify(text)} is not host:port or unix:/path`);
  }
  return { kind: "tcp", host: match[1]!.replace(/^\[|\]$/g, ""), port: Number(match[2]) };
}

export const hostPort = (host: string, port: number): string => `${host.includes(":") ? `[${host}]` : host}:${port}`;

/** Whether only this machine can reach the address. */
export const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || host.startsWith("127.");

/** Binds a plain server. Resolves with the address and the port that the system chose. */
export async function listenOn(server: Server, text: string): Promise<string> {
  const address = parseAddress(text);
  if (address.kind === "unix") await removeStaleSocket(address.path);
  server.listen(address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port });
  await once(server, "listening");
  const bound = server.address();
  return typeof bound === "object" && bound && address.kind === "tcp" ? hostPort(address.host, bound.port) : text;
}

/**
 * Removes the socket file that a killed process left. A socket on which a process still answers is kept, so that binding fails; a file that is no socket is
 * kept, too.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  if (!statSync(path, { throwIfNoEntry: false })?.isSocket()) return;
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
  if (!alive) rmSync(path, { force: true });
}
