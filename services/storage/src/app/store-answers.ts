import { taskNotFound, taskNotYours } from "@berth/core";
import { ReportAnswer } from "@berth/contracts/agent";
import type { ReportReply, ReportRequest } from "@berth/contracts/agent";
import type { ApplyReportsResponse } from "@berth/contracts/store";
import { overCode } from "../decisions/record/codes.ts";
import type { Found } from "../decisions/record/task-message.ts";
import type { LogState } from "../ports/task-store.ts";

/** What a store answers the same way, whatever its database. */

/** The task, for who may see it; an empty user may see all. Throws `not-found` TASK_NOT_FOUND, `denied` NOT_YOURS. */
export function visibleTo(user: string, taskId: string, found: Found | undefined): Found {
  if (!found) throw taskNotFound(taskId);
  if (user !== "" && found.spec.user !== user) throw taskNotYours(taskId);
  return found;
}

/** How far a task is, for who reads its output. */
export const logStateOf = ({ row, spec }: Found): LogState => ({
  attempt: row.attempt,
  over: row.state >= overCode,
  archived: row.state > overCode,
  sizes: row.stdout_bytes === null ? undefined : { stdout: row.stdout_bytes, stderr: row.stderr_bytes ?? 0 },
  uid: spec.uid,
  gid: spec.gid,
});

/** Each host's report is a write of its own: one that cannot be taken in does not keep the others' from being committed. Throws where none could. */
export async function takeEach(
  reports: readonly ReportRequest[],
  take: (report: ReportRequest) => Promise<ReportReply>,
): Promise<ApplyReportsResponse> {
  const replies = await Promise.allSettled(reports.map(take));
  if (replies.length > 0 && replies.every(({ status }) => status === "rejected"))
    throw (replies[0] as PromiseRejectedResult).reason;
  return {
    replies: replies.map((reply, at) =>
      reply.status === "fulfilled" ? reply.value : { answers: reports[at]!.statuses.map(() => ReportAnswer.LATER) },
    ),
  };
}
