import { counter, isProof } from "@berth/runtime";
import type { Logger } from "@berth/runtime";
import type { KnownAgents } from "./agent-server.ts";

/** A refused agent asks every few seconds; each host is logged once per minute. */
const logEveryMs = 60_000;
/** Limit of remembered host names. More than this are made up by an attacker, so all of them are dropped. */
const mostHosts = 1_000;

/** If each host has its own NATS account, no other client can publish on its subjects, so its messages need no further proof. */
export const agentsOfBus: KnownAgents = { isProven: () => true, onStranger: () => {} };

/** Agents that prove to have this cluster's secret. Others are logged and counted. */
export function agentsWithSecret(clusterSecret: string, logger: Logger): KnownAgents {
  const loggedMs = new Map<string, number>();
  const refused = counter("berth_watcher_strange_agents_total", "Syncs of agents without this cluster's secret");
  return {
    isProven: (hostId, agentId, proof) => isProof(clusterSecret, hostId, agentId, proof),
    onStranger(hostId) {
      refused.inc();
      if (performance.now() - (loggedMs.get(hostId) ?? -Infinity) < logEveryMs) return;
      if (loggedMs.size >= mostHosts) loggedMs.clear();
      loggedMs.set(hostId, performance.now());
      logger.error("an agent does not have this cluster's secret; it is refused", { host: hostId });
    },
  };
}
