import { SubmitTaskResponse } from "@berth/contracts/api";
import type { TaskSpec } from "@berth/contracts/types";
import type { Berth } from "@berth/sdk";
import { print, printJson, warn } from "./output/print.ts";

/** Checks a task at the server, which stores nothing. */
export async function dryRun(berth: Berth, spec: TaskSpec, json: boolean): Promise<void> {
  const answer = await berth.tasks.submitTask({ spec, requestId: "", dryRun: true });
  if (json) printJson(SubmitTaskResponse.toJSON(answer));
  else {
    for (const warning of answer.warnings) warn(warning);
    print("this task would be accepted");
  }
}
