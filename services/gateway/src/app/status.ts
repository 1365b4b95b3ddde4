import { AppError } from "@berth/core";
import type { GetStatusResponse, ServiceStatus } from "@berth/contracts/api";
import type { TaskStoreServiceService } from "@berth/contracts/store";
import { HostStatus } from "@berth/contracts/types";
import type { GrpcClient } from "@berth/runtime";

/** A service that can be asked whether it serves. */
export interface Peer {
  readonly name: string;
  /** Rejects where it does not answer in time. */
  serving(signal: AbortSignal): Promise<boolean>;
}

/** Services, hosts and queue in one answer; a part that cannot be had leaves its place empty and the answer not ok. */
export async function clusterStatus(
  deps: {
    readonly peers: readonly Peer[];
    readonly store: Pick<GrpcClient<TaskStoreServiceService>, "listHosts" | "countTasks">;
    readonly version: string;
  },
  signal: AbortSignal,
): Promise<GetStatusResponse> {
  const brief = { deadlineMs: 2_000, signal };
  const [others, hosts, counts] = await Promise.all([
    Promise.all(deps.peers.map((peer) => statusOf(peer, signal))),
    deps.store.listHosts({}, brief).then(
      (answer) => answer.hosts,
      () => [],
    ),
    deps.store.countTasks({ user: "" }, brief).then(
      (answer) => answer.byState,
      () => ({}),
    ),
  ]);
  const services = [{ name: "gateway", ok: true, detail: "" }, ...others];
  const ok =
    services.every((service) => service.ok) && hosts.length > 0 && hosts.every((host) => host.status === HostStatus.UP);
  return { ok, services, hosts, tasks: counts, version: deps.version };
}

async function statusOf(peer: Peer, signal: AbortSignal): Promise<ServiceStatus> {
  try {
    const ok = await peer.serving(signal);
    return { name: peer.name, ok, detail: ok ? "" : "not ready" };
  } catch (error) {
    return { name: peer.name, ok: false, detail: AppError.from(error).message };
  }
}
