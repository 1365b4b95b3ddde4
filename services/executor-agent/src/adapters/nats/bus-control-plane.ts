import { subjects } from "@berth/contracts";
import type { Bus } from "@berth/nats";
import type { ControlPlane } from "../../ports/control-plane.ts";

const syncTimeoutMs = 5_000;
const reportTimeoutMs = 5_000;

/** The watchers over NATS. */
export const busControlPlane = (bus: Bus, hostId: string, journalId: string): ControlPlane => ({
  sync: (request, signal) => bus.request(subjects.sync, hostId, request, { signal, timeoutMs: syncTimeoutMs }),
  async report(statuses, signal) {
    const reply = await bus.request(
      subjects.report,
      hostId,
      { hostId, journalId, statuses: [...statuses] },
      { signal, timeoutMs: reportTimeoutMs },
    );
    return reply.answers;
  },
});
