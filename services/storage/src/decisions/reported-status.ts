import type { Outcome, Reason } from "@berth/core";
import type { RunStatus } from "@berth/contracts/agent";
import type { Phase } from "../domain/report-event.ts";

/** A run's status as an agent reported it, checked and translated. */
export interface ReportedStatus {
  readonly hostId: string;
  readonly status: RunStatus;
  readonly phase: Phase;
  readonly attempt: number;
  readonly outcome: Outcome;
  readonly reason: Reason;
}
