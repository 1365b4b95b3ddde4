import type { Outcome, Reason } from "@berth/core";
import type { RunStatus } from "@berth/contracts/agent";
import type { Phase } from "../domain/report-event.ts";

/** One status with what is needed to take it in. */
export interface ReportedStatus {
  readonly hostId: string;
  readonly status: RunStatus;
  readonly phase: Phase;
  readonly attempt: number;
  readonly outcome: Outcome;
  readonly reason: Reason;
}
