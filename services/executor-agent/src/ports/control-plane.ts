import type { ReportAnswer, RunStatus, SyncReply, SyncRequest } from "@berth/contracts/agent";

/** The watchers. A call that is not answered in time fails with AppError `unavailable` and may be repeated. */
export interface ControlPlane {
  /** Sends the list of this host's runs; the answer has a verdict on each. */
  sync(request: SyncRequest, signal: AbortSignal): Promise<SyncReply>;
  /** Sends statuses of runs. Resolves after storage has committed them, with one answer per status, in order. */
  report(statuses: readonly RunStatus[], signal: AbortSignal): Promise<readonly ReportAnswer[]>;
}
