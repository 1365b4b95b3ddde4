import { Argument, Option } from "commander";
import type { Command } from "commander";
import { closeInheritedFiles, openFilesWarning, servedNames, serviceArgs, settingsOf } from "@berth/local/serve";
import type { ServedName } from "@berth/local/serve";
import { note } from "../output/print.ts";
import type { Caller } from "../connection.ts";
import { usageError } from "../exit.ts";
import { installationRoot } from "./up.ts";

/** The service of a copy that `berth init` named. */
function serviceNamed(text: string): ServedName {
  const plain = text.replace(/-\d+$/, "");
  const name = servedNames.find((each) => each === plain);
  if (!name) throw usageError("service", `must be one of ${servedNames.join(", ")}`);
  return name;
}

export function register(program: Command, caller: Caller): void {
  program
    .command("serve")
    .description(
      "Runs one service in the foreground. Settings come from the --env files and from the environment (BERTH_LISTEN, BERTH_STORAGE, …), which overrides them. Addresses of services with copies are lists with commas.",
    )
    .addArgument(
      new Argument(
        "<service>",
        `which: ${servedNames.join(", ")}; or a copy of it, as storage-2, which names its directory`,
      ).argParser(serviceNamed),
    )
    .option(
      "--env <file>",
      "a file of NAME=value lines; may be given more than once",
      (file, all: string[]) => [...all, file],
      [],
    )
    .option("--listen <address>", "address to serve on, as 10.0.0.1:7001 or unix:/path (BERTH_LISTEN)")
    .addOption(
      new Option(
        "--log <format>",
        "how it logs; by default pretty at a terminal, else JSON (BERTH_LOG_FORMAT)",
      ).choices(["json", "pretty"]),
    )
    .action((service: ServedName, options: { env: string[]; listen?: string; log?: string }) => {
      const settings = settingsOf(options.env, caller.env);
      if (options.listen) settings["BERTH_LISTEN"] = options.listen;
      if (options.log) settings["BERTH_LOG_FORMAT"] = options.log;
      closeInheritedFiles();
      const fewFiles = openFilesWarning();
      if (fewFiles !== undefined) note(`berth: ${fewFiles}`);
      // execve replaces this process, so signals, exit code and pid are the service's own.
      process.execve!(process.execPath, [process.execPath, ...serviceArgs(installationRoot, service)], settings);
    });
}
