import { randomBytes, randomInt, randomUUID } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { checkClusterFile } from "./check-cluster-file.ts";
import type { Layout } from "./layout.ts";

/** The settings that were chosen when the cluster was made; `berth up` keeps them. */
export interface ClusterFile {
  readonly clusterId: string;
  readonly hostId: string;
  readonly driver: "docker" | "process" | "sim";
  /** Of the sim driver: how many virtual hosts. */
  readonly simHosts: number;
  /** Address of the engine, for the docker driver. */
  readonly engine: string;
  /** Default image of tasks. */
  readonly defaultImage: string;
  readonly natsServer: string;
  readonly natsPort: number;
  readonly gatewayPort: number;
  /** Receiver of traces, if any. */
  readonly otlpUrl: string;
  /** Metrics are served on 127.0.0.1, from this port on, one port per service in the order of `serviceNames`; 0: on Unix sockets. */
  readonly metricsPort: number;
  /** `mongodb://…/name` of storage and auth; missing: SQLite in the data directory. */
  readonly database?: string;
  /** The address of nats-server for the agent, if it is not the usual one on loopback. */
  readonly agentNatsUrl?: string;
  /** Longest silence of a process before it is killed and restarted, in milliseconds; missing: 45 s. */
  readonly stalledMs?: number;
  /** The site's own settings of services, by name, as `{"watcher": {"BERTH_LOSS_MARGIN_MS": "30000"}}`. */
  readonly settings?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** The cluster of a data directory, if one was made there. Throws `invalid` CLUSTER_FILE with every fault. */
export function readClusterFile(layout: Layout): ClusterFile | undefined {
  if (!existsSync(layout.clusterFile)) return undefined;
  return checkClusterFile(layout.clusterFile, readFileSync(layout.clusterFile, "utf8"));
}

/** Replaces a file by renaming a draft, so a reader never sees half of it. */
export function writeFileWhole(path: string, content: string, mode = 0o600): void {
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, content, { mode });
  renameSync(draft, path);
}

/** Creates the directories with the least rights that work. Tasks of other users need mode 0711 to reach their own directory below `data`. */
export function makeDirectories(layout: Layout): void {
  mkdirSync(layout.data, { recursive: true, mode: 0o711 });
  for (const [path, mode] of [
    [layout.secrets, 0o700],
    [layout.logs, 0o700],
    [layout.run, 0o711],
    [join(layout.data, "storage"), 0o700],
    [join(layout.data, "auth"), 0o700],
    [join(layout.data, "agent"), 0o711],
    [join(layout.data, "files"), 0o711],
    [join(layout.data, "compile-cache"), 0o700],
  ] as const) {
    mkdirSync(path, { recursive: true, mode });
    chmodSync(path, mode); // an earlier Berth or the umask may have set another mode
  }
  const { uid } = statSync(layout.run);
  if (process.getuid && uid !== process.getuid()) throw new Error(`${layout.run} belongs to another user (uid ${uid})`);
}

/** Reads a secret from its file of mode 0600; generates it the first time. */
export function secret(layout: Layout, name: string): { readonly value: string; readonly path: string } {
  const path = join(layout.secrets, name);
  if (!existsSync(path)) writeFileWhole(path, randomBytes(24).toString("base64url"));
  return { value: readFileSync(path, "utf8").trim(), path };
}

export const newClusterId = (): string => randomUUID();

/** Below the ports that Linux gives to outgoing connections (from 32768) and to servers that ask for any. */
const lowestPort = 20_000;
const ports = 12_000;

/**
 * `wanted` if it is free, else a free port of the loopback address. Another program's outgoing connection does not take that one before its server listens, nor while the
 * server is down.
 */
export async function freePort(wanted: number): Promise<number> {
  const tryPort = (port: number) =>
    new Promise<number | undefined>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(undefined));
      server.listen(port, "127.0.0.1", () => {
        const address = server.address();
        server.close(() => resolve(typeof address === "object" && address ? address.port : undefined));
      });
    });
  const asWished = wanted === 0 ? undefined : await tryPort(wanted);
  if (asWished !== undefined) return asWished;
  for (let tries = 0; tries < 20; tries += 1) {
    const found = await tryPort(lowestPort + randomInt(ports));
    if (found !== undefined) return found;
  }
  const any = await tryPort(0);
  if (any === undefined) throw new Error("no free port on 127.0.0.1");
  return any;
}
