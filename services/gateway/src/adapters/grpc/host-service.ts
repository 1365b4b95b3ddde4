import type { HostServiceService } from "@berth/contracts/api";
import type { TaskStoreServiceService } from "@berth/contracts/store";
import { HealthServiceService } from "@berth/contracts/health";
import { splitAddresses } from "@berth/contracts/channel";
import { grpcChannel, grpcClient, healthService } from "@berth/runtime";
import type { Closing, GrpcClient, ServiceImplementation } from "@berth/runtime";
import { AppError } from "@berth/core";
import { HostStatus } from "@berth/contracts/types";
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

    async declareHostLost({ hostId, force }, { caller, signal }) {
      const { hosts } = await deps.store.listHosts({}, { signal });
      const host = hosts.find(({ id }) => id === hostId);
      if (!host)
        throw new AppError("not-found", "HOST_NOT_FOUND", `there is no host ${hostId}`, {
          metadata: { host_id: hostId },
        });
      if (host.status === HostStatus.UP && !force)
        throw new AppError(
          "precondition",
          "HOST_UP",
          `${hostId} was heard of lately; what runs there would run twice. Stop its agent first, or use force`,
          { metadata: { host_id: hostId } },
        );
      const { retried, lost } = await deps.store.loseRuns(
        { hostId, by: caller.user, listenedMs: 0, marginMs: 0 },
        { signal },
      );
      return { retried: retried.length, lost: lost.length };
    },
  };
}

/** Asks each copy of a service by `grpc.health.v1`, on connections of its own: the others' go to whichever copy answers. */
export function healthPeers(
  name: string,
  addresses: string,
  { closing, authorization }: { readonly closing: Closing; readonly authorization: string },
): Peer[] {
  const all = splitAddresses(addresses);
  return all.map((address) => {
    const channel = grpcChannel(address, { closing });
    const health = grpcClient(healthService, channel, { service: name, deadlineMs: 2_000 });
    const work = grpcClient(HealthServiceService, channel, { service: name, authorization, deadlineMs: 2_000 });
    return {
      name: all.length > 1 ? `${name} ${address}` : name,
      serving: async (signal) => (await health.check({ service: "" }, { signal })).status === "serving",
      problems: (signal) =>
        work.listProblems({}, { signal }).then(
          ({ problems }) => problems,
          () => [], // of a service that tells none; one that is away shows by the other call
        ),
    };
  });
}
