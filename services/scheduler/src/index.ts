/** The planner and what is around it, for simulations and benchmarks; the service itself is `main.ts`. */
export { grpcPlanStore } from "./adapters/grpc/plan-store.ts";
export { natsDispatcher } from "./adapters/nats/dispatcher.ts";
export { Scheduler, type SchedulerDeps } from "./app/scheduler.ts";
export { defaultLimits, planCycle, policyWith, type CycleLimits, type CyclePolicy } from "./domain/cycle.ts";
export { explain, type Explanation, type ExplanationCode } from "./domain/explain.ts";
export type { ArrayFacts, Dependency, FeedRow, HostFacts, TaskFacts } from "./domain/feed.ts";
export { filtersFor, standardFilters, type Filter } from "./domain/filters.ts";
export { freeCpuMilli, freeMemoryBytes } from "./domain/hosts.ts";
export { brokenInvariant } from "./domain/invariants.ts";
export type { End, Placement, Plan } from "./domain/plan.ts";
export { Queue, type ParentOutcome } from "./domain/queue.ts";
export type { RankedTask, Ranking } from "./domain/ranking.ts";
