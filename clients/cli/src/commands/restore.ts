import type { Command } from "commander";
import { defaultDataDir, restoreBackup } from "@berth/local";
import type { Caller } from "../connection.ts";
import { print, printJson } from "../output/print.ts";
import { terminalProgress } from "../output/terminal-progress.ts";

export function register(program: Command, { env }: Caller): void {
  program
    .command("restore")
    .argument("<backup>", "a directory made by berth backup")
    .description(
      "Restores databases, credentials and settings of this machine's cluster from a backup. The cluster must be down. Replaced files are kept beside them.",
    )
    .option("--data <dir>", "the cluster's data directory; may be empty")
    .option("--json", "answer in JSON")
    .action(async (backup: string, flags: { readonly data?: string; readonly json?: boolean }) => {
      const data = flags.data || defaultDataDir(env);
      const { manifest, replaced } = await restoreBackup(data, backup, {
        now: new Date(),
        env,
        progress: terminalProgress(),
      });
      if (flags.json)
        return printJson({
          restored: true,
          clusterId: manifest.clusterId,
          madeAt: manifest.madeAt,
          replaced: replaced ?? null,
        });
      print(`Restored as of ${manifest.madeAt}.${replaced === undefined ? "" : ` What was there is in ${replaced}.`}`);
      print(
        "What was placed or ran then will be over as lost; what waited will run, perhaps again. Keys that were revoked since are valid again.",
      );
      print(
        manifest.mongo ? "Restore MongoDB too, with BERTH_NEW_EPOCH for storage, then: berth up" : "Next: berth up",
      );
    });
}
