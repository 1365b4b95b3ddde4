/** An agent's parts without its drivers and their vendors, for simulations. */
export { busControlPlane } from "./adapters/nats/bus-control-plane.ts";
export { serveAgent } from "./adapters/nats/serve-agent.ts";
export { RunLanes } from "./adapters/process/keeper/run-lanes.ts";
export { parseSimCommand, type SimPlan } from "./adapters/sim/sim-command.ts";
export { simFiles } from "./adapters/sim/sim-files.ts";
export { Agent } from "./app/agent.ts";
export type { AgentDeps } from "./app/agent-deps.ts";
export type { HeldRun } from "./domain/held-run.ts";
export type { Clock } from "./ports/clock.ts";
export type { Journal, JournalChanges, JournalContent } from "./ports/journal.ts";
