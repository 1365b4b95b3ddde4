import { ListVolumesResponse } from "@berth/contracts/api";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { note, printJson, printTable } from "../output/print.ts";

export function register(program: Command, caller: Caller): void {
  const volume = program.command("volume").description("Directories that tasks may mount by name.");
  volume
    .command("ls")
    .description("Lists the volumes that I may ask for.")
    .option("--json", "answer in JSON")
    .action(async (options: { json?: boolean }) => {
      const answer = await withBerth(caller, (berth) => berth.session.listVolumes({}));
      if (options.json) return printJson(ListVolumesResponse.toJSON(answer));
      if (answer.volumes.length === 0) return note("this site offers none");
      printTable(
        [
          { title: "NAME" },
          { title: "IN THE TASK", flexible: true },
          { title: "MODE" },
          { title: "ON THE HOST", flexible: true },
        ],
        answer.volumes.map((mount) => [mount.name, mount.target, mount.readOnly ? "ro" : "rw", mount.source]),
      );
    });
}
