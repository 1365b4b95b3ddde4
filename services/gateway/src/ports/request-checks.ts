import type { SubmitTaskRequest } from "@berth/contracts/api";

/** Requests that are validated before anything else. */
export type CheckedRequest =
  | "getTask"
  | "listTasks"
  | "watchTasks"
  | "readLog"
  | "requestTasks"
  | "updateTask"
  | "explainTask"
  | "submitTasks"
  | "listFiles"
  | "getFile"
  | "addFile"
  | "login"
  | "listKeys"
  | "revokeKey"
  | "setUserDisabled";

/** Validates requests. Each method throws `invalid` for the first fault, naming the field as in the .proto, and the rule. */
export interface RequestChecks extends Readonly<Record<CheckedRequest, (request: unknown) => void>> {
  /** One task; `within` is its path in a batch. */
  submitTask(request: SubmitTaskRequest, within: readonly PropertyKey[]): void;
}
