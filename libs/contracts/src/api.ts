export * from "./gen/berth/api/v1/task_service.ts";
export * from "./gen/berth/api/v1/file_service.ts";
export * from "./gen/berth/api/v1/host_service.ts";
export * from "./gen/berth/api/v1/session_service.ts";
