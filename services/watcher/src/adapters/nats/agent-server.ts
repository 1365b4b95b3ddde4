import { AppError } from "@berth/core";
import { subjects } from "@berth/contracts";
import { ReportAnswer } from "@berth/contracts/agent";
import type { ReportRequest, SyncReply } from "@berth/contracts/agent";
import type { Bus } from "@berth/nats";
import { isTracing, openSpan } from "@berth/runtime";
import type { SyncAnswer, Watcher } from "../../app/watcher.ts";
import type { Waker } from "../../ports/run-store.ts";
import { hostNameTaken } from "../../app/watcher.ts";
import { checkReport, checkSync, reportFromWire, syncFromWire, verdictToWire } from "../codec.ts";

/** Tells agents of this cluster from other clients of the bus. */
export interface KnownAgents {
  isProven(hostId: string, agentId: string, proof: string): boolean;
  /** An agent without proof was refused. */
  onStranger(hostId: string): void;
}

const wrongClusterSecret = {
  code: "WRONG_CLUSTER_SECRET",
  message: "it does not have this cluster's secret; give it the BERTH_CLUSTER_SECRET that the services have",
};

const queue = "watcher";
/** Limit of concurrent reports. A report waits for a commit shared with other hosts, so each host may have one waiting. */
const maxConcurrent = 4_096;

/** Answers the agents of all hosts; each message is handled by one watcher. An agent may speak only for its own host, which the subject names. */
export function serveAgents(bus: Bus, watcher: Watcher, agents: KnownAgents, signal: AbortSignal): void {
  bus.serve(
    subjects.report,
    "*",
    async (report, { host }) => {
      checkHost(report.hostId, host);
      checkReport(report);
      if (!agents.isProven(host, report.agentId ?? "", report.proof ?? ""))
        return { answers: report.statuses.map(() => ReportAnswer.LATER) };
      const ends = isTracing() ? traceEnds(report) : [];
      try {
        return await watcher.report(reportFromWire(report));
      } catch (thrown) {
        const error = AppError.from(thrown);
        if (error.code !== "unavailable" && error.reason !== hostNameTaken.code) throw error;
        return { answers: report.statuses.map(() => ReportAnswer.LATER) };
      } finally {
        for (const span of ends) span.end();
      }
    },
    { queue, signal, maxConcurrent },
  );
  bus.serve(
    subjects.sync,
    "*",
    async (request, { host }) => {
      checkSync(request);
      const news = syncFromWire(request)!;
      checkHost(news.hostId, host);
      if (!agents.isProven(host, request.host?.agentId ?? "", request.proof ?? "")) {
        agents.onStranger(host);
        return { ...notReady, refused: wrongClusterSecret };
      }
      const answer = await watcher.sync(news);
      if (answer === "refused") return { ...notReady, refused: hostNameTaken };
      return answer ? toReply(answer) : notReady;
    },
    { queue, signal, maxConcurrent },
  );
}

/** A span in the trace of each ended task, for the time of its commit. */
const traceEnds = ({ hostId, statuses }: ReportRequest): Span[] =>
  statuses
    .filter(({ traceParent }) => traceParent !== "")
    .map(
      ({ run, traceParent }) =>
        openSpan("watcher commit report", {
          parent: traceParent,
          attributes: { "berth.task": run?.taskId ?? "", "berth.attempt": run?.attempt ?? 0, "berth.host": hostId },
        }).span,
    );

type Span = ReturnType<typeof openSpan>["span"];

const notReady: SyncReply = { term: 0, verdicts: [], missing: undefined, ready: false, epoch: "" };

const toReply = ({ term, verdicts, missing, epoch }: SyncAnswer): SyncReply => ({
  term,
  verdicts: verdicts.map(verdictToWire),
  missing: missing && missing.assignments.length > 0 ? missing : undefined,
  ready: true,
  epoch,
});

function checkHost(said: string, subject: string): void {
  if (said !== subject)
    throw new AppError(
      "denied",
      "WRONG_HOST",
      `a message of host ${JSON.stringify(said)} came on the subject of ${subject}`,
    );
}

export const natsWaker = (bus: Bus): Waker => ({ wake: (hostId) => bus.publish(subjects.wake, hostId, {}) });
