import { AppError, databaseUnavailable } from "@berth/core";

/** What the driver throws, as far as it counts here. It is told by code and label, never by its text. */
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

/** The server did not say what became of it: what was asked may be done, and a transaction may still be open. */
export const isUnanswered = (error: unknown): boolean =>
  driverError(error) !== undefined && (codeOf(error) === undefined || isUnknownCommit(error));

export const isDuplicateKey = (error: unknown): boolean => codeOf(error) === 11_000;
export const isExistingCollection = (error: unknown): boolean => codeOf(error) === 48;

/** Of a server that is not there, not leading, too slow or going down: another try may find a better one. */
const passing: ReadonlySet<number> = new Set([
  6, 7, 50, 63, 64, 89, 91, 112, 133, 134, 150, 189, 202, 206, 225, 234, 237, 246, 251, 262, 317, 358, 384, 9001,
  10_107, 11_600, 11_601, 11_602, 13_388, 13_435, 13_436,
]);

/** Whether it is the server's or the network's matter, and not that of what was asked. */
export function isPassing(error: unknown): boolean {
  if (!driverError(error)) return false;
  const code = codeOf(error);
  return code === undefined || passing.has(code) || isTransient(error) || hasLabel(error, "RetryableWriteError");
}

/** The database was restored while a store used it: what that store knows is of another life, and it has to be started again. */
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
