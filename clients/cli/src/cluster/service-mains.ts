import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { AppError } from "@berth/core";

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

/** Settings of files of `NAME=value` lines; a later file is stronger, the environment the strongest. Throws `invalid` ENV_FILE. */
export function settingsOf(files: readonly string[], env: NodeJS.ProcessEnv): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const file of files) {
    try {
      Object.assign(settings, parseEnv(readFileSync(file, "utf8")));
    } catch (cause) {
      throw new AppError("invalid", "ENV_FILE", `${file} cannot be read`, { cause, metadata: { path: file } });
    }
  }
  for (const [name, value] of Object.entries(env)) if (value !== undefined) settings[name] = value;
  return settings;
}
