import { createHmac, timingSafeEqual } from "node:crypto";

/** Proves that an agent has the cluster's secret, without sending the secret over the bus. It is the same for the whole life of the agent. */
export const agentProof = (clusterSecret: string, hostId: string, agentId: string): string =>
  createHmac("sha256", clusterSecret).update(`berth agent\n${hostId}\n${agentId}`).digest("base64url");

/** Whether the proof was made with this cluster's secret for that agent id and host. */
export function isProof(clusterSecret: string, hostId: string, agentId: string, proof: string): boolean {
  const [given, wanted] = [Buffer.from(proof), Buffer.from(agentProof(clusterSecret, hostId, agentId))];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
