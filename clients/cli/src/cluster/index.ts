export * from "./layout.ts";
export * from "./processes.ts";
export * from "./services.ts";
