import { createHmac, timingSafeEqual } from "node:crypto";

/** Shows that an agent has the cluster's secret without telling it to those who read the bus. It stays the same for as long as the agent lives. */
export const agentProof = (clusterSecret: string, hostId: string, agentId: string): string =>
  createHmac("sha256", clusterSecret).update(`berth agent\n${hostId}\n${agentId}`).digest("base64url");

/** Whether that proof was made with this cluster's secret, by an agent of that id for that host. */
export function isProof(clusterSecret: string, hostId: string, agentId: string, proof: string): boolean {
  const [given, wanted] = [Buffer.from(proof), Buffer.from(agentProof(clusterSecret, hostId, agentId))];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
