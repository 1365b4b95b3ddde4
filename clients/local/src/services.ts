import { join } from "node:path";
import { secret } from "./cluster-file.ts";
import type { ClusterFile } from "./cluster-file.ts";
import type { Layout } from "./layout.ts";
import { writeNatsConfig } from "./nats-config.ts";
import { serviceArgs } from "./service-mains.ts";

/** A process of the cluster. */
export interface ServiceProcess {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Written by the process once it serves; undefined for nats-server. */
  readonly readyFile: string | undefined;
  /** How the supervisor sees that the process runs: a file that the process touches every second, or a port on which it sends a greeting (nats-server). */
  readonly lifeSign: { readonly heartbeatFile: string } | { readonly greetingPort: number };
}

/** In the order in which they are stopped: the gateway first, the database and the bus last. */
export const serviceNames = ["gateway", "scheduler", "watcher", "agent", "auth", "storage", "nats"] as const;
export type ServiceName = (typeof serviceNames)[number];

/** The processes of a cluster on this machine, with their arguments and environment. */
export function clusterProcesses(layout: Layout, cluster: ClusterFile, root: string): ServiceProcess[] {
  const socket = (name: string) => `unix:${join(layout.run, `${name}.sock`)}`;
  const clusterSecret = secret(layout, "cluster");
  const control = secret(layout, "nats-control");
  const agent = secret(layout, "nats-agent");
  const natsConfig = writeNatsConfig(layout, cluster, control.value, agent.value);
  const common: Record<string, string> = {
    BERTH_CLUSTER_ID: cluster.clusterId,
    BERTH_CLUSTER_SECRET_FILE: clusterSecret.path,
    BERTH_STORAGE: socket("storage"),
    BERTH_AUTH: socket("auth"),
    BERTH_SCHEDULER: socket("scheduler"),
    BERTH_WATCHER: socket("watcher"),
    BERTH_NATS_URL: `nats://127.0.0.1:${cluster.natsPort}`,
    NODE_COMPILE_CACHE: join(layout.data, "compile-cache"),
    ...(cluster.otlpUrl ? { BERTH_OTLP_URL: cluster.otlpUrl } : {}),
  };
  const database: Record<string, string> = cluster.database ? { BERTH_DATABASE: cluster.database } : {};
  const own: Readonly<Record<Exclude<ServiceName, "nats">, Record<string, string>>> = {
    storage: {
      BERTH_DATA_DIR: join(layout.data, "storage"),
      BERTH_FILES_DIR: join(layout.data, "files"),
      ...database,
    },
    auth: {
      BERTH_DATA_DIR: join(layout.data, "auth"),
      BERTH_VOLUMES_FILE: join(layout.data, "volumes.json"),
      ...database,
    },
    gateway: { BERTH_LISTEN: `127.0.0.1:${cluster.gatewayPort}` },
    scheduler: { BERTH_NATS_USER: "control", BERTH_NATS_PASSWORD_FILE: control.path },
    watcher: { BERTH_NATS_USER: "control", BERTH_NATS_PASSWORD_FILE: control.path },
    agent: {
      ...(cluster.agentNatsUrl ? { BERTH_NATS_URL: cluster.agentNatsUrl } : {}),
      BERTH_NATS_USER: "agent",
      BERTH_NATS_PASSWORD_FILE: agent.path,
      BERTH_NATS_INBOX: `_INBOX_${cluster.hostId}`,
      BERTH_DATA_DIR: join(layout.data, "agent"),
      BERTH_RUN_DIR: layout.run,
      BERTH_FILES_DIR: join(layout.data, "files"),
      BERTH_HOST_ID: cluster.hostId,
      BERTH_DRIVER: cluster.driver,
      ...(cluster.driver === "sim" ? { BERTH_SIM_HOSTS: String(cluster.simHosts) } : {}),
      ...(cluster.engine ? { BERTH_ENGINE: cluster.engine } : {}),
      ...(cluster.defaultImage ? { BERTH_DEFAULT_IMAGE: cluster.defaultImage } : {}),
    },
  };
  const node = join(root, "node_modules", ".bin", "node");
  const services = serviceNames
    .filter((name) => name !== "nats")
    .map((name): ServiceProcess => {
      const readyFile = join(layout.run, `${name}.ready`);
      const heartbeatFile = join(layout.run, `${name}.heartbeat`);
      return {
        name,
        command: node,
        args: serviceArgs(root, name, name === "agent" && cluster.driver === "sim" ? "sim-main.ts" : "main.ts"),
        env: {
          // An agent opens no port.
          ...(name === "agent" ? {} : { BERTH_LISTEN: socket(name) }),
          BERTH_METRICS_ADDRESS: cluster.metricsPort
            ? `127.0.0.1:${cluster.metricsPort + serviceNames.indexOf(name)}`
            : `unix:${join(layout.run, `${name}.metrics`)}`,
          ...common,
          ...own[name],
          ...cluster.settings?.[name],
          BERTH_READY_FILE: readyFile,
          BERTH_HEARTBEAT_FILE: heartbeatFile,
        },
        readyFile,
        lifeSign: { heartbeatFile },
      };
    });
  return [
    ...services,
    {
      name: "nats",
      command: cluster.natsServer,
      args: ["-c", natsConfig],
      env: {},
      readyFile: undefined,
      lifeSign: { greetingPort: cluster.natsPort },
    },
  ];
}
