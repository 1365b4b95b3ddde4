export * from "./gen/berth/schedule/v1/schedule_service.ts";
