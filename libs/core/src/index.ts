export * from "./amounts.ts";
export * from "./array-range.ts";
export * from "./errors.ts";
export * from "./run.ts";
export * from "./task-id.ts";
export * from "./task-paths.ts";
export * from "./task-state.ts";
export * from "./unreachable.ts";
