export * from "./access.ts";
export * from "./grpc-errors.ts";
export * from "./subjects.ts";
export * from "./words.ts";
