import { subjects } from "@berth/contracts";
import type { Subject } from "@berth/contracts";
import type { ReportRequest } from "@berth/contracts/agent";
import type { Bus } from "@berth/nats";
import type { ControlPlane } from "../../ports/control-plane.ts";

/** First timeout of a request. It doubles with each timeout, so that a slow control plane gets more time. Repeating a request is harmless. */
const firstTimeoutMs = 1_000;
const maxTimeoutMs = 5_000;

/** The watchers over NATS. */
export function busControlPlane(
  bus: Bus,
  {
    hostId,
    agentId,
    journalId,
    proof,
  }: Pick<ReportRequest, "hostId" | "journalId"> & { readonly agentId: string; readonly proof: string },
): ControlPlane {
  const patient = <Q, R>(subject: Subject<Q, R>): ((request: Q, signal: AbortSignal) => Promise<R>) => {
    let timeoutMs = firstTimeoutMs;
    return async (request, signal) => {
      try {
        const reply = await bus.request(subject, hostId, request, { signal, timeoutMs });
        timeoutMs = firstTimeoutMs;
        return reply;
      } catch (error) {
        timeoutMs = Math.min(maxTimeoutMs, timeoutMs * 2);
        throw error;
      }
    };
  };
  const sync = patient(subjects.sync);
  const report = patient(subjects.report);
  return {
    sync: (request, signal) => sync({ ...request, proof }, signal),
    report: async (statuses, signal) =>
      (await report({ hostId, agentId, journalId, proof, statuses: [...statuses] }, signal)).answers,
  };
}
