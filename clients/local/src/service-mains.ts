import { join } from "node:path";

/** Folders of the services, by the names that people use. */
const folders = {
  gateway: "gateway",
  scheduler: "scheduler",
  watcher: "watcher",
  agent: "executor-agent",
  auth: "auth",
  storage: "storage",
} as const;
export type ServedName = keyof typeof folders;

export const servedNames = Object.keys(folders) as ServedName[];

/** What starts a service of the installation at `root`, after the name of Node. */
export const serviceArgs = (root: string, name: ServedName, main = "main.ts"): string[] => [
  "--disable-warning=ExperimentalWarning",
  join(root, "services", folders[name], "src", main),
];
