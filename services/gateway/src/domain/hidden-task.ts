import { AppError } from "@berth/core";

/** The same is said of a task that is another's, so that ids tell nothing: `denied` of the store becomes `absent`. */
export function hidden(thrown: unknown, absent: AppError): AppError {
  const error = AppError.from(thrown);
  return error.code === "denied" || error.code === "not-found" ? absent : error;
}
