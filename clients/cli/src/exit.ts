import { AppError } from "@berth/core";
import type { ErrorCode } from "@berth/core";
import { plainJson, printableLines } from "./output/print.ts";
import { codeWithLoss } from "./output/stdout.ts";

/** Exit codes for errors of Berth; a task's exit code is passed on unchanged. */
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

/** An error for a value that the user typed; names the field and the rule. */
export const usageError = (field: string, rule: string): AppError =>
  new AppError("invalid", "USAGE", `${field}: ${rule}`, { metadata: { field, rule } });

/** Prints the error on standard error, and what may help. */
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

/** An error of Berth itself is printed with its stack. A system error, such as EACCES for a file, is printed as its message. */
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

/** Exits once standard output and standard error are flushed; open connections do not delay it. */
export async function finish(code: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write("", () => resolve()));
  }
  // A failed write emits its error in a later turn of the event loop.
  await new Promise((resolve) => setImmediate(resolve));
  process.exit(codeWithLoss(code));
}
