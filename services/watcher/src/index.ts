/** The watcher's parts, for simulations; the service itself is `main.ts`. */
export { grpcRunStore, grpcTimerLease } from "./adapters/grpc/run-store.ts";
export { natsWaker, serveAgents } from "./adapters/nats/agent-server.ts";
export { runTimers } from "./app/timers.ts";
export { Watcher } from "./app/watcher.ts";
