import { splitAddresses } from "@berth/contracts/channel";
import { HealthServiceService } from "@berth/contracts/health";
import { grpcChannel, grpcClient, healthService } from "@berth/runtime";
import type { Closing, Trust } from "@berth/runtime";
import type { Peer } from "../../app/status.ts";

/** Asks each copy of a service for its health, on a connection per copy, because other channels use whichever copy answers. */
export function healthPeers(
  name: string,
  addresses: string,
  {
    closing,
    authorization,
    ...tls
  }: { readonly closing: Closing; readonly authorization: string | undefined } & ReturnType<Trust["to"]>,
): Peer[] {
  const all = splitAddresses(addresses);
  return all.map((address) => {
    const channel = grpcChannel(address, { closing, ...tls });
    const health = grpcClient(healthService, channel, { service: name, deadlineMs: 2_000 });
    const asked = grpcClient(HealthServiceService, channel, { service: name, authorization, deadlineMs: 2_000 });
    return {
      name: all.length > 1 ? `${name} ${address}` : name,
      serving: async (signal) => (await health.check({ service: "" }, { signal })).status === "serving",
      // An unreachable copy fails the health check.
      work: (signal) => asked.listProblems({}, { signal }).catch(() => ({ problems: [], activity: "" })),
    };
  });
}
