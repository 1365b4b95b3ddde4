import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { defaultDataDir, layoutOf, makeBackup } from "@berth/local";
import type { Caller } from "../connection.ts";
import { print, printJson } from "../output/print.ts";
import { terminalProgress } from "../output/terminal-progress.ts";
import { installationRoot } from "./up.ts";

export function register(program: Command, { env }: Caller): void {
  program
    .command("backup")
    .argument("<dir>", "directory in which the backup gets a directory of its own, named by the time")
    .description(
      "Saves databases, credentials and settings of this machine's cluster. The cluster may be up. Files of tasks are not saved.",
    )
    .option("--data <dir>", "the cluster's data directory")
    .option("--json", "answer in JSON")
    .action(async (into: string, flags: { readonly data?: string; readonly json?: boolean }) => {
      const layout = layoutOf(flags.data || defaultDataDir(env), env);
      mkdirSync(into, { recursive: true });
      const progress = terminalProgress();
      const { dir, manifest } = await makeBackup(layout, resolve(into), {
        root: installationRoot,
        now: new Date(),
        progress,
      });
      const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
      if (flags.json) return printJson({ dir, bytes, ...manifest });
      const filesDir = `${layout.data}/files`;
      print(`Saved in ${dir} (${(bytes / 1e6).toFixed(1)} MB); it holds secrets.`);
      if (manifest.mongo) print("Tasks and users are in MongoDB, and not in the backup: use mongodump --oplog.");
      print(`Files of tasks are not in it; they are in ${filesDir}.\nTo restore it: berth restore ${dir}`);
    });
}
