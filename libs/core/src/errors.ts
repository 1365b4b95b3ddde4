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

/** A constant for programs: upper case, never reworded. */
export type ReasonCode = string;

/** The one error that our own code throws on purpose. */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  /** UPPER_SNAKE; clients may branch on it. */
  readonly reason: ReasonCode;
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

  /** Anything thrown, as an AppError; what is not one already becomes `internal` with the original as its cause. */
  static from(thrown: unknown): AppError {
    if (thrown instanceof AppError) return thrown;
    return new AppError("internal", "INTERNAL", "something went wrong inside Berth", { cause: thrown });
  }
}

/** A value from outside that breaks a rule; names the field and the rule. */
export const invalidField = (field: string, rule: string, reason: ReasonCode = "INVALID_FIELD"): AppError =>
  new AppError("invalid", reason, `${field}: ${rule}`, { metadata: { field, rule } });
