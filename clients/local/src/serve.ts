/** What it takes to become one service, without what brings a whole cluster up. */
export { settingsOf } from "./env-files.ts";
export { closeInheritedFiles } from "./inherited-files.ts";
export { openFilesWarning } from "./open-files.ts";
export { servedNames, serviceArgs } from "./service-mains.ts";
export type { ServedName } from "./service-mains.ts";
