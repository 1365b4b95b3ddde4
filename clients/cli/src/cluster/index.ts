export { freePort } from "./cluster-file.ts";
export * from "./layout.ts";
export * from "./processes.ts";
export * from "./services.ts";
export { serviceSettings } from "./setting-names.ts";
