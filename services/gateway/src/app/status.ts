import { AppError } from "@berth/core";
import type { GetStatusResponse, ServiceProblem, ServiceStatus } from "@berth/contracts/api";
import type { TaskStoreServiceService } from "@berth/contracts/store";
import { HostStatus } from "@berth/contracts/types";
import type { GrpcClient } from "@berth/runtime";

/** A service that can be asked whether it serves. */
export interface Peer {
  readonly name: string;
  /** Rejects if it does not answer in time. */
  serving(signal: AbortSignal): Promise<boolean>;
  /** Its current problems and activities; both empty if the service does not report them. */
  work(signal: AbortSignal): Promise<{ readonly problems: ServiceProblem[]; readonly activity: string }>;
}

/** Services, hosts and queue in one answer. A part that cannot be read is left empty, and the answer is not ok. */
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
  const services = [{ name: "gateway", ok: true, detail: "", problems: [] }, ...others];
  const ok =
    services.every((service) => service.ok && service.problems.length === 0) &&
    hosts.length > 0 &&
    hosts.every((host) => host.status === HostStatus.UP);
  return { ok, services, hosts, tasks: counts, version: deps.version };
}

async function statusOf(peer: Peer, signal: AbortSignal): Promise<ServiceStatus> {
  try {
    const [ok, { problems, activity }] = await Promise.all([peer.serving(signal), peer.work(signal)]);
    return { name: peer.name, ok, detail: ok ? (problems[0]?.message ?? activity) : "not ready", problems };
  } catch (error) {
    return { name: peer.name, ok: false, detail: AppError.from(error).message, problems: [] };
  }
}
