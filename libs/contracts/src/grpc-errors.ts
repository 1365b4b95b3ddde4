import { AppError } from "@berth/core";
import type { ErrorCode } from "@berth/core";
import { ErrorInfo, Status } from "./errors.ts";
import type { Failure } from "./errors.ts";

/** gRPC's numbers; the same in every language. */
const statuses: Readonly<Record<ErrorCode, number>> = {
  invalid: 3,
  "not-found": 5,
  denied: 7,
  quota: 8,
  precondition: 9,
  conflict: 10,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
};

const typeUrl = "type.googleapis.com/google.rpc.ErrorInfo";

/** Trailer that carries the details. */
export const detailsKey = "grpc-status-details-bin";

export const statusOf = (code: ErrorCode): number => statuses[code];

/**
 * What a gRPC status means for a client. CANCELLED and DEADLINE_EXCEEDED are `unavailable`; a status that our servers never send is `internal`. `text` is the
 * text of the status: grpc-js reports a connection that breaks during a write as INTERNAL, which is `unavailable` here.
 */
export function errorCodeOf(status: number, text = ""): ErrorCode {
  if (status === 1 || status === 4) return "unavailable"; // CANCELLED, DEADLINE_EXCEEDED: outcome unknown
  if (status === statuses.internal && text.startsWith("Received RST_STREAM")) return "unavailable";
  const found = Object.entries(statuses).find(([, n]) => n === status);
  return (found?.[0] as ErrorCode | undefined) ?? "internal";
}

/** google.rpc.Status with ErrorInfo, for the trailer. */
export function encodeStatusDetails(error: AppError): Uint8Array {
  const info = ErrorInfo.encode({ reason: error.reason, domain: "berth", metadata: { ...error.metadata } }).finish();
  return Status.encode({
    code: statusOf(error.code),
    message: error.message,
    details: [{ typeUrl, value: Buffer.from(info) }],
  }).finish();
}

/** Reason and metadata of a trailer. Undefined if it has no details, or details of another domain. */
export function decodeStatusDetails(
  bytes: Uint8Array,
): { reason: string; metadata: Record<string, string> } | undefined {
  try {
    const detail = Status.decode(bytes).details.find((d) => d.typeUrl === typeUrl);
    if (!detail) return undefined;
    const info = ErrorInfo.decode(detail.value);
    return { reason: info.reason, metadata: info.metadata };
  } catch {
    return undefined;
  }
}

/** One item's error in a batch. */
export const toFailure = (error: AppError): Failure => ({
  code: error.code,
  reason: error.reason,
  message: error.message,
  metadata: { ...error.metadata },
});

/** One item's error as an error; an unknown code is `internal`. */
export const fromFailure = (failure: Failure): AppError =>
  AppError.received(
    failure.code in statuses ? (failure.code as ErrorCode) : "internal",
    failure.reason,
    failure.message,
    {
      metadata: failure.metadata,
    },
  );
