import { AppError } from "@berth/core";
import type { ErrorCode } from "@berth/core";

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
    process.stderr.write(`${JSON.stringify({ code, reason, message, metadata })}\n`);
    return;
  }
  const fault =
    error.reason === "INTERNAL" && error.cause instanceof Error
      ? (error.cause.stack ?? error.cause.message)
      : error.message;
  process.stderr.write(`berth: ${fault}\n`);
  const hint = hintFor(error);
  if (hint) process.stderr.write(`       ${hint}\n`);
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
  process.exit(code);
}
