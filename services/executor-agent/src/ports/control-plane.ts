import type { ReportAnswer, RunStatus, SyncReply, SyncRequest } from "@berth/contracts/agent";

/** The watchers, over whatever wire. A call that is not answered in time fails with AppError `unavailable`; it may be repeated. */
export interface ControlPlane {
  /** Tells what is here; answered with the whole list and verdicts. */
  sync(request: SyncRequest, signal: AbortSignal): Promise<SyncReply>;
  /** Tells what happened; answered after the commit, one answer a status, in order. */
  report(statuses: readonly RunStatus[], signal: AbortSignal): Promise<readonly ReportAnswer[]>;
}
