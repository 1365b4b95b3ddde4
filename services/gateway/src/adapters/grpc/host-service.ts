import type { HostServiceService } from "@berth/contracts/api";
import type { TaskStoreServiceService } from "@berth/contracts/store";
import { grpcClient, healthService } from "@berth/runtime";
import type { GrpcClient, ServiceImplementation } from "@berth/runtime";
import { clusterStatus } from "../../app/status.ts";
import type { Peer } from "../../app/status.ts";
import type { CallerContext } from "./access-middleware.ts";

export function hostService(deps: {
  readonly store: GrpcClient<TaskStoreServiceService>;
  readonly peers: readonly Peer[];
  readonly version: string;
}): ServiceImplementation<HostServiceService, CallerContext> {
  return {
    listHosts: (_, { signal }) => deps.store.listHosts({}, { signal }),
    getStatus: (_, { signal }) => clusterStatus(deps, signal),
  };
}

/** Asks a service by `grpc.health.v1`. */
export function healthPeer(name: string, channel: Parameters<typeof grpcClient>[1]): Peer {
  const health = grpcClient(healthService, channel, { service: name, deadlineMs: 2_000 });
  return { name, serving: async (signal) => (await health.check({ service: "" }, { signal })).status === "serving" };
}
