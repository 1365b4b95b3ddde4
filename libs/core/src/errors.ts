import type { ReasonCode } from "./reasons.ts";

/** What a client may do about an error; the table to gRPC codes is in contracts. */
export type ErrorCode =
  | "invalid"
  | "not-found"
  | "conflict"
  | "precondition"
  | "quota"
  | "denied"
  | "unauthenticated"
  | "unavailable"
  | "internal";

/** The one error that our own code throws on purpose. */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  /** UPPER_SNAKE; clients may branch on it. */
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(
    code: ErrorCode,
    reason: ReasonCode,
    /** For people; may be reworded at any time. */
    message: string,
    options: { cause?: unknown; metadata?: Readonly<Record<string, string>> } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.reason = reason;
    this.metadata = options.metadata ?? {};
  }

  /** An error whose reason was made elsewhere, by a peer or a driver: it may be one that this version does not know. */
  static received(
    code: ErrorCode,
    reason: string,
    message: string,
    options: { cause?: unknown; metadata?: Readonly<Record<string, string>> } = {},
  ): AppError {
    return new AppError(code, reason as ReasonCode, message, options);
  }

  /**
   * Anything thrown, as an AppError. No more open files is `unavailable` NO_DESCRIPTORS, because it passes; what else is not an AppError becomes `internal` with the original as
   * its cause.
   */
  static from(thrown: unknown): AppError {
    if (thrown instanceof AppError) return thrown;
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (code === "EMFILE" || code === "ENFILE")
      return new AppError(
        "unavailable",
        "NO_DESCRIPTORS",
        `this service may open no more files now (${code}); its operator raises the limit`,
        {
          cause: thrown,
        },
      );
    return new AppError("internal", "INTERNAL", "something went wrong inside Berth", { cause: thrown });
  }
}

/** A value from outside that breaks a rule; names the field and the rule. */
export const invalidField = (field: string, rule: string, reason: ReasonCode = "INVALID_FIELD"): AppError =>
  new AppError("invalid", reason, `${field}: ${rule}`, { metadata: { field, rule } });
