import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { Channel, credentials as grpcCredentials, experimental, Metadata, status } from "@grpc/grpc-js";
import type { ChannelCredentials } from "@grpc/grpc-js";
import { serviceDnsName } from "./identity.ts";

const scheme = "berth";
/** The largest message that both ends take: 16 MiB. A bulk call splits what it sends. */
export const maxMessageBytes = 16 * 1024 * 1024;
/** A host name is resolved at most this often. */
const resolveEveryMs = 2_000;

/** `host:port` or `unix:/path`, several with commas: copies of one service. */
export const splitAddresses = (addresses: string): string[] =>
  addresses
    .split(",")
    .map((address) => address.trim())
    .filter((address) => address !== "");

/**
 * A channel to all of `addresses`. Calls go round robin over the connected ones, so a copy that is gone costs nothing and a retried call reaches another copy.
 * It connects at the first call, and reconnects within a second of a server's return. With several addresses, keepalives find a dead connection within 10 s.
 * With `serverName` the servers' certificates must carry that name, whatever the addresses.
 */
export function openChannel(addresses: string, credentials?: ChannelCredentials, serverName?: string): Channel {
  register();
  const several = splitAddresses(addresses).length > 1;
  return new Channel(`${scheme}:${addresses}`, credentials ?? grpcCredentials.createInsecure(), {
    "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc.enable_channelz": 0, // channelz keeps counts and traces that Berth does not use
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.min_reconnect_backoff_ms": 5_000, // nice-grpc reads it as the limit of one attempt to connect
    "grpc.keepalive_time_ms": several ? 5_000 : 30_000,
    "grpc.keepalive_timeout_ms": several ? 4_000 : 10_000,
    "grpc.enable_retries": 0,
    ...(serverName === undefined ? {} : { "grpc.ssl_target_name_override": serverName }),
  });
}

/**
 * A channel to gateways. With `ca`, the PEM text of the cluster's own authority, it uses TLS and accepts only certificates of a gateway of that cluster,
 * whatever the addresses. With `system` it accepts certificates of the first address' name that the system trusts.
 */
export function openTrustedChannel(addresses: string, ca: string | undefined): Channel {
  if (ca === undefined) return openChannel(addresses);
  if (ca === "system") return openChannel(addresses, grpcCredentials.createSsl());
  return openChannel(addresses, grpcCredentials.createSsl(Buffer.from(ca)), serviceDnsName("gateway"));
}

/** How many addresses a channel of ours was given. */
export const addressCount = (channel: Channel): number => splitAddresses(channel.getTarget()).length;

type Endpoint = experimental.Endpoint;
type Listener = experimental.ResolverListener;
const noAttributes = {};

/** gRPC's own resolvers take lists of numeric addresses only: no names, no sockets. */
class ListResolver implements experimental.Resolver {
  readonly #addresses: readonly string[];
  readonly #listener: Listener;
  #timer: NodeJS.Timeout | undefined;
  #toldAt = -Infinity;
  /** Only names can resolve differently later. Reporting the same numeric addresses again would only make gRPC reconnect. */
  readonly #hasNames: boolean;
  #destroyed = false;

  constructor(target: experimental.GrpcUri, listener: Listener) {
    this.#addresses = splitAddresses(target.path);
    this.#listener = listener;
    this.#hasNames = this.#addresses.some(
      (address) => !address.startsWith("unix:") && !/^(\[.*\]|[\d.]+):\d+$/.test(address),
    );
  }

  static getDefaultAuthority({ path }: experimental.GrpcUri): string {
    const first = splitAddresses(path)[0] ?? "";
    return first.startsWith("unix:") ? "localhost" : first;
  }

  updateResolution(): void {
    this.#destroyed = false;
    if (this.#timer || (this.#toldAt > 0 && !this.#hasNames)) return;
    const waitMs = Math.max(0, this.#toldAt + resolveEveryMs - performance.now());
    this.#timer = setTimeout(() => void this.#resolve(), waitMs).unref();
    if (waitMs === 0) this.#timer.ref();
  }

  destroy(): void {
    this.#destroyed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#toldAt = -Infinity;
  }

  async #resolve(): Promise<void> {
    const found = await Promise.allSettled(this.#addresses.map(endpointOf));
    this.#timer = undefined;
    if (this.#destroyed) return;
    this.#toldAt = performance.now();
    const endpoints = found.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    if (endpoints.length > 0) {
      this.#listener(experimental.statusOrFromValue(endpoints), noAttributes, null, "");
      if (endpoints.length < found.length) this.updateResolution(); // a name that is not known yet
      return;
    }
    const reason = found.map((one) => (one.status === "rejected" ? String(one.reason) : "")).join("; ");
    const details = reason || "no address is given";
    this.#listener(
      experimental.statusOrFromError({ code: status.UNAVAILABLE, details, metadata: new Metadata() }),
      noAttributes,
      null,
      "",
    );
  }
}

async function endpointOf(address: string): Promise<Endpoint> {
  if (address.startsWith("unix:")) return { addresses: [{ path: address.replace(/^unix:(\/\/(?=\/))?/, "") }] };
  const match = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(address);
  if (!match) throw new Error(`${JSON.stringify(address)} is not host:port or unix:/path`);
  const host = match[1]!.replace(/^\[|\]$/g, "");
  const port = Number(match[2]);
  if (isIP(host)) return { addresses: [{ host, port }] };
  const all = await lookup(host, { all: true });
  return { addresses: all.map((one) => ({ host: one.address, port })) };
}

let registered = false;
/** Registered with the first channel: importing this module has no side effect. */
function register(): void {
  if (registered) return;
  registered = true;
  experimental.registerResolver(scheme, ListResolver);
}
