import type { SubmitTaskRequest } from "@berth/contracts/api";

/** Requests that are looked at before anything is done for them. */
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

/** Looks at what a client sent. Each throws `invalid` for the first fault, naming the field as the .proto does, and the rule. */
export interface RequestChecks extends Readonly<Record<CheckedRequest, (request: unknown) => void>> {
  /** One task; `within` leads to it in a batch. */
  submitTask(request: SubmitTaskRequest, within: readonly PropertyKey[]): void;
}
