import { subjects } from "@berth/contracts";
import type { Bus } from "@berth/nats";
import type { Agent } from "../../app/agent.ts";

/** What is said to this host: new runs, and that it should ask. */
export function serveAgent(bus: Bus, hostId: string, agent: Agent, signal: AbortSignal): void {
  bus.serve(subjects.assign, hostId, async (request) => agent.onAssign(request), { signal });
  bus.serve(subjects.wake, hostId, async () => (agent.wake(), {}), { signal });
}
