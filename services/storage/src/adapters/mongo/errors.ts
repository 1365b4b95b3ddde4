import { AppError, databaseUnavailable } from "@berth/core";

/** What the driver throws, as far as it counts here. It is told by code and label, never by its text. */
interface DriverError {
  readonly code?: unknown;
  hasErrorLabel(label: string): boolean;
}

const isDriverError = (error: unknown): error is DriverError =>
  error instanceof Error && "hasErrorLabel" in error && typeof error.hasErrorLabel === "function";

const hasLabel = (error: unknown, label: string): boolean => isDriverError(error) && error.hasErrorLabel(label);
export const codeOf = (error: unknown): number | undefined =>
  isDriverError(error) && typeof error.code === "number" ? error.code : undefined;

/** Nothing of the transaction is stored, and a new one may go through. */
export const isTransient = (error: unknown): boolean => hasLabel(error, "TransientTransactionError");

/** The transaction may be stored or not. */
export const isUnknownCommit = (error: unknown): boolean => hasLabel(error, "UnknownTransactionCommitResult");

/** The server did not say what became of it: what was asked may be done, and a transaction may still be open. */
export const isUnanswered = (error: unknown): boolean =>
  isDriverError(error) && (codeOf(error) === undefined || isUnknownCommit(error));

export const isDuplicateKey = (error: unknown): boolean => codeOf(error) === 11_000;
export const isExistingCollection = (error: unknown): boolean => codeOf(error) === 48;

/** Of a server that is not there, not leading, too slow or going down: another try may find a better one. */
const passing: ReadonlySet<number> = new Set([
  6, 7, 50, 63, 64, 89, 91, 112, 133, 134, 150, 189, 202, 206, 225, 234, 237, 246, 251, 262, 317, 358, 384, 9001,
  10_107, 11_600, 11_601, 11_602, 13_388, 13_435, 13_436,
]);

/** Whether it is the server's or the network's matter, and not that of what was asked. */
export function isPassing(error: unknown): boolean {
  if (!isDriverError(error)) return false;
  const code = codeOf(error);
  return code === undefined || passing.has(code) || isTransient(error) || hasLabel(error, "RetryableWriteError");
}

/** The database was restored while a store used it: what that store knows is of another life, and it has to be started again. */
export const epochChanged = (now: string, before: string) =>
  new AppError("precondition", "EPOCH_CHANGED", `the database has epoch ${now} now, and had ${before}`);

/** Anything thrown by a call, as others are told of it. */
export function toAppError(error: unknown): unknown {
  if (error instanceof AppError || !isPassing(error)) return error;
  return databaseUnavailable(error);
}
