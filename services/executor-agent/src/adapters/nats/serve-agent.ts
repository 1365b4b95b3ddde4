import { subjects } from "@berth/contracts";
import type { Bus } from "@berth/nats";
import type { Agent } from "../../app/agent.ts";

/** Subscribes to this host's messages. Only the agent that speaks for the host name subscribes to `assign`; every agent hears `wake`. */
export function serveAgent(bus: Bus, hostId: string, agent: Agent, signal: AbortSignal): void {
  agent.whileAssignable((ours) =>
    bus.serve(subjects.assign, hostId, async (request) => agent.onAssign(request), {
      signal: AbortSignal.any([signal, ours]),
    }),
  );
  bus.serve(subjects.wake, hostId, async () => (agent.wake(), {}), { signal });
}
