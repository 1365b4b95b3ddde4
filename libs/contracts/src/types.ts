export * from "./gen/berth/types/v1/task.ts";
export * from "./gen/berth/types/v1/host.ts";
