import { AppError, databaseUnavailable } from "@berth/core";

/** The part of the driver's errors that we use: code and label, never the text. */
interface DriverError {
  readonly code?: unknown;
  hasErrorLabel(label: string): boolean;
}

/** The driver's own error: as it was thrown, or as the cause of what toAppError made of it. */
function driverError(error: unknown): DriverError | undefined {
  const own = error instanceof AppError && error.reason === unanswered ? error.cause : error;
  if (!(own instanceof Error) || !("hasErrorLabel" in own) || typeof own.hasErrorLabel !== "function") return undefined;
  return own as Error & DriverError;
}

const unanswered = "DATABASE_UNAVAILABLE";

const hasLabel = (error: unknown, label: string): boolean => driverError(error)?.hasErrorLabel(label) ?? false;

export function codeOf(error: unknown): number | undefined {
  const code = driverError(error)?.code;
  return typeof code === "number" ? code : undefined;
}

/** Nothing of the transaction is stored, and a new one may go through. */
export const isTransient = (error: unknown): boolean => hasLabel(error, "TransientTransactionError");

/** The transaction may be stored or not. */
export const isUnknownCommit = (error: unknown): boolean => hasLabel(error, "UnknownTransactionCommitResult");

/** The server did not answer: the command may have been done, and a transaction may still be open. */
export const isUnanswered = (error: unknown): boolean =>
  driverError(error) !== undefined && (codeOf(error) === undefined || isUnknownCommit(error));

export const isDuplicateKey = (error: unknown): boolean => codeOf(error) === 11_000;
export const isExistingCollection = (error: unknown): boolean => codeOf(error) === 48;

/** The server is unreachable, not primary, too slow or shutting down; a retry may find another server. */
const passing: ReadonlySet<number> = new Set([
  6, 7, 50, 63, 64, 89, 91, 112, 133, 134, 150, 189, 202, 206, 225, 234, 237, 246, 251, 262, 317, 358, 384, 9001,
  10_107, 11_600, 11_601, 11_602, 13_388, 13_435, 13_436,
]);

/** Whether the server or the network caused it, and not the command. */
export function isPassing(error: unknown): boolean {
  if (!driverError(error)) return false;
  const code = codeOf(error);
  return code === undefined || passing.has(code) || isTransient(error) || hasLabel(error, "RetryableWriteError");
}

/** The database was restored while a store used it. What that store remembers is of another epoch, so it has to be restarted. */
export const epochChanged = (now: string, before: string) =>
  new AppError("precondition", "EPOCH_CHANGED", `the database has epoch ${now} now, and had ${before}`);

/**
 * What a call of the driver threw, as callers are told of it: `unavailable` DATABASE_UNAVAILABLE, if another try may find a better server. The driver's error
 * is its cause, and the predicates of this file look there: transactions decide by its labels.
 */
export function toAppError(error: unknown): unknown {
  if (error instanceof AppError || !isPassing(error)) return error;
  return databaseUnavailable(error);
}
