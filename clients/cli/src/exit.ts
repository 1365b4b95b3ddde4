import { AppError } from "@berth/core";
import type { ErrorCode } from "@berth/core";
import { plainJson, printableLines } from "./output/print.ts";
import { codeWithLoss } from "./output/stdout.ts";

/** Exit codes of Berth itself; those of tasks are their own. */
const exitCodes: Readonly<Record<ErrorCode, number>> = {
  invalid: 2,
  conflict: 2,
  precondition: 2,
  "not-found": 3,
  denied: 4,
  unauthenticated: 4,
  quota: 4,
  unavailable: 5,
  internal: 1,
};

export const exitCodeFor = (thrown: unknown): number => exitCodes[AppError.from(thrown).code];

/** The user typed something wrong; names what and the rule. */
export const usageError = (field: string, rule: string): AppError =>
  new AppError("invalid", "USAGE", `${field}: ${rule}`, { metadata: { field, rule } });

/** Says on standard error what went wrong and what would help. */
export function printError(thrown: unknown, json: boolean): void {
  const error = AppError.from(thrown);
  if (json) {
    const { code, reason, message, metadata } = error;
    process.stderr.write(`${plainJson({ code, reason, message, metadata })}\n`);
    return;
  }
  const fault = faultWords(error);
  process.stderr.write(`berth: ${printableLines(fault)}\n`);
  const hint = hintFor(error);
  if (hint) process.stderr.write(`       ${hint}\n`);
}

/** A fault of ours is shown with its stack; one of the system, such as a file that may not be read, says all in its message. */
function faultWords({ reason, cause, message }: AppError): string {
  if (reason !== "INTERNAL" || !(cause instanceof Error)) return message;
  return "syscall" in cause ? cause.message : (cause.stack ?? cause.message);
}

function hintFor(error: AppError): string | undefined {
  if (error.reason === "NO_SERVER" || error.reason === "NO_ANSWER")
    return "start a cluster here: berth up; or use another: berth login SERVER";
  if (error.code === "unauthenticated") return "log in again: berth login SERVER";
  return undefined;
}

/** Exits once everything written has left; what is still open elsewhere does not keep us. */
export async function finish(code: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write("", () => resolve()));
  }
  // The error of a write is told in a later turn of the event loop.
  await new Promise((resolve) => setImmediate(resolve));
  process.exit(codeWithLoss(code));
}
