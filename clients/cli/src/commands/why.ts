import { AppError, parseTaskId } from "@berth/core";
import { ExplainTaskResponse } from "@berth/contracts/api";
import type { Explanation } from "@berth/contracts/schedule";
import type { Berth } from "@berth/sdk";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { print, printJson } from "../output/print.ts";

export function register(program: Command, caller: Caller): void {
  program
    .command("why")
    .description("Says why a task waits and its place in the queue; of one that does not wait, where it is.")
    .argument("<id>", "as 17 or 17.4")
    .option("--json", "answer in JSON")
    .action(async (id: string, options: { json?: boolean }) => {
      const taskId = parseTaskId(id, "id");
      const answer = await withBerth(caller, async (berth) => {
        try {
          return await berth.tasks.explainTask({ taskId });
        } catch (error) {
          return { explanation: await notWaiting(berth, taskId, error) };
        }
      });
      if (options.json) printJson(ExplainTaskResponse.toJSON(answer));
      else print(words(answer.explanation!));
    });
}

/** An explanation for a task that does not wait: its state, and the reason of its end. */
async function notWaiting(berth: Berth, taskId: string, thrown: unknown): Promise<Explanation> {
  const error = AppError.from(thrown);
  if (error.reason !== "NOT_PENDING") throw error;
  const { task } = await berth.tasks.getTask({ taskId });
  const cause = task?.reason?.message ? `: ${task.reason.message} (${task.reason.code})` : "";
  const message = `${error.message}${cause}`;
  return { taskId, code: error.reason, message, position: 0, pending: 0, refusals: [], waitsFor: [] };
}

function words({ taskId, code, message, position, pending, refusals, waitsFor }: Explanation): string {
  if (code === "NOT_PENDING") return message;
  const lines = [`${taskId} waits: ${message} (${code})`];
  if (position > 0) lines.push(`place ${position} of ${pending} in the queue`);
  if (waitsFor.length > 0) lines.push(`waits for ${waitsFor.join(", ")}`);
  lines.push(...refusals.map((refusal) => `  ${refusal}`));
  return lines.join("\n");
}
