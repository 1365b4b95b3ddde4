import { AppError, hostNotFound } from "@berth/core";
import type {
  CreateHostTokenRequest,
  DeclareHostLostRequest,
  JoinHostRequest,
  RevokeHostRequest,
} from "@berth/contracts/api";
import type { AuthServiceService } from "@berth/contracts/auth";
import type { TaskStoreServiceService } from "@berth/contracts/store";
import { HostStatus } from "@berth/contracts/types";
import type { GrpcClient } from "@berth/runtime";
import type { ApiCaller, Caller } from "../domain/caller.ts";
import { clusterStatus } from "./status.ts";
import type { Peer } from "./status.ts";

export interface HostCallsDeps {
  readonly store: GrpcClient<TaskStoreServiceService>;
  readonly auth: GrpcClient<AuthServiceService>;
  readonly peers: readonly Peer[];
  readonly version: string;
}

/** The cluster as a whole. */
export function hostCalls({ store, auth, peers, version }: HostCallsDeps) {
  return {
    listHosts: (_caller: Caller, _request: object, signal: AbortSignal) => store.listHosts({}, { signal }),
    getStatus: (_caller: Caller, _request: object, signal: AbortSignal) =>
      clusterStatus({ store, peers, version }, signal),

    async declareHostLost(caller: Caller, { hostId, force }: DeclareHostLostRequest, signal: AbortSignal) {
      const { hosts } = await store.listHosts({}, { signal });
      const host = hosts.find(({ id }) => id === hostId);
      if (!host) throw hostNotFound(hostId);
      if (host.status === HostStatus.UP && !force)
        throw new AppError(
          "precondition",
          "HOST_UP",
          `${hostId} was heard of lately; what runs there would run twice. Stop its agent first, or use force`,
          { metadata: { host_id: hostId } },
        );
      const { retried, lost } = await store.loseRuns(
        { hostId, by: caller.user, listenedMs: 0, marginMs: 0 },
        { signal },
      );
      return { retried: retried.length, lost: lost.length };
    },

    createHostToken: (caller: Caller, { host, ttlMs }: CreateHostTokenRequest, signal: AbortSignal) =>
      auth.createHostToken({ host, ttlMs, by: caller.user }, { signal }),

    joinHost: (caller: ApiCaller, request: JoinHostRequest, signal: AbortSignal) =>
      auth.joinHost({ ...request, address: caller.address }, { signal }),

    async revokeHost(caller: Caller, { hostId }: RevokeHostRequest, signal: AbortSignal) {
      await auth.revokeHost({ hostId, by: caller.user }, { signal });
      return {};
    },
  };
}
