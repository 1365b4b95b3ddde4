export * from "./access.ts";
export * from "./grpc-errors.ts";
export * from "./identity.ts";
export * from "./service-access.ts";
export * from "./subjects.ts";
export * from "./words.ts";
