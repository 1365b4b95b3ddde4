import { AppError } from "@berth/core";

/** Replaces `denied` and `not-found` by `absent`, so that users cannot find out which ids of other users exist. */
export function hidden(thrown: unknown, absent: AppError): AppError {
  const error = AppError.from(thrown);
  return error.code === "denied" || error.code === "not-found" ? absent : error;
}
