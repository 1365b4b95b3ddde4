export * from "./gen/berth/health/v1/health_service.ts";
