export * from "./gen/berth/auth/v1/auth_service.ts";
