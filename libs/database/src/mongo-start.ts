import { AppError } from "@berth/core";

/** AuthenticationFailed, UserNotFound, Unauthorized, MechanismUnavailable, and AuthenticationFailed of Atlas. */
const refusals: ReadonlySet<unknown> = new Set([18, 11, 13, 334, 8000]);
/** What the driver throws of the URL itself. */
const ofUrl: ReadonlySet<string> = new Set([
  "MongoParseError",
  "MongoInvalidArgumentError",
  "MongoMissingCredentialsError",
  "MongoMissingDependencyError",
  "MongoAPIError",
]);

/**
 * Why MongoDB cannot be used at the start of a service, by what its driver threw. A wrong URL is `invalid` DATABASE_URL; a server that takes neither user nor password is
 * `precondition` DATABASE_REFUSED: neither gets better by waiting. All else is `unavailable` DATABASE_UNAVAILABLE, with the driver's words.
 */
export function mongoStartError(cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const { name, message } = cause instanceof Error ? cause : { name: "", message: String(cause) };
  if (ofUrl.has(name))
    return new AppError("invalid", "DATABASE_URL", `BERTH_DATABASE is no URL that MongoDB's driver takes: ${message}`, {
      cause,
    });
  if (refusals.has(cause instanceof Error && "code" in cause ? cause.code : undefined))
    return new AppError(
      "precondition",
      "DATABASE_REFUSED",
      `MongoDB refuses the user that BERTH_DATABASE names, or its password: ${message}`,
      { cause },
    );
  return new AppError("unavailable", "DATABASE_UNAVAILABLE", `MongoDB does not answer: ${message}`, { cause });
}
