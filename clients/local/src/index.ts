/** A cluster on this machine: its parts, start, supervision and stop. Other entry points of this package load faster. */
export { makeBackup } from "./backup/make-backup.ts";
export { restoreBackup } from "./backup/restore-backup.ts";
export { freePort } from "./cluster-file.ts";
export type { ClusterFile } from "./cluster-file.ts";
export { isUp, takeDown } from "./down.ts";
export { takeLock } from "./lock.ts";
export * from "./layout.ts";
export { findProcess, isAlive } from "./processes.ts";
export type { KnownProcess } from "./processes.ts";
export type { Progress } from "./progress.ts";
export { serviceNames } from "./services.ts";
export type { ServiceName } from "./services.ts";
export { bringUp, defaultGatewayPort } from "./up.ts";
export type { UpOptions } from "./up.ts";
