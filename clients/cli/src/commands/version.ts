import type { Command } from "commander";
import { printVersion } from "../version.ts";

export function register(program: Command): void {
  program
    .command("version")
    .description("Shows the version of this command.")
    .option("--json", "answer in JSON")
    .action((options: { json?: boolean }) => printVersion(options.json ?? false));
}
