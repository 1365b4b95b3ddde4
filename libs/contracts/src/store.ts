export * from "./gen/berth/store/v1/task_store_service.ts";
export * from "./gen/berth/store/v1/file_store_service.ts";
