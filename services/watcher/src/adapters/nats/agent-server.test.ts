import { AppError } from "@berth/core";
import { ReportAnswer, RunPhase, SyncRequest, Verdict } from "@berth/contracts/agent";
import type { ReportReply, ReportRequest, SyncReply } from "@berth/contracts/agent";
import { Host } from "@berth/contracts/types";
import type { Bus } from "@berth/nats";
import { describe, expect, it } from "vitest";
import type { HostReport, SyncAnswer, HostSync, Watcher } from "../../app/watcher.ts";
import { lostReport } from "../codec.ts";
import { serveAgents } from "./agent-server.ts";

type Served = Watcher;
const run = { epoch: "e", taskId: "1", attempt: 1 };
const report = lostReport("h1", "j1", [run, { ...run, attempt: 2 }], new Date(0));

const strangers: string[] = [];
const agents = {
  isProven: (_host: string, _agent: string, proof: string) => proof !== "of another cluster",
  onStranger: (host: string) => void strangers.push(host),
};

function serve(watcher: {
  report?: (news: HostReport) => Promise<ReportReply>;
  sync?: (news: HostSync) => Promise<SyncAnswer | undefined>;
}) {
  const handlers = new Map<string, (message: unknown, incoming: { host: string }) => Promise<unknown>>();
  const bus = { serve: ({ type }: { type: string }, _: string, handler: never) => void handlers.set(type, handler) };
  serveAgents(bus as unknown as Bus, watcher as unknown as Served, agents, new AbortController().signal);
  return {
    report: (message: ReportRequest, host = "h1") =>
      handlers.get("berth.agent.v1.ReportRequest")!(message, { host }) as Promise<ReportReply>,
    sync: (message: SyncRequest, host = "h1") =>
      handlers.get("berth.agent.v1.SyncRequest")!(message, { host }) as Promise<SyncReply>,
  };
}

describe("serveAgents", () => {
  it("answers a report only when it is committed", async () => {
    const commit = Promise.withResolvers<ReportReply>();
    const { report: send } = serve({ report: () => commit.promise });
    let answered = false;
    const reply = send(report).finally(() => (answered = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    commit.resolve({ answers: [ReportAnswer.COMMITTED, ReportAnswer.SUPERSEDED] });
    expect(await reply).toEqual({ answers: [ReportAnswer.COMMITTED, ReportAnswer.SUPERSEDED] });
  });

  it("says later for each run where storage does not answer", async () => {
    const away = new AppError("unavailable", "PEER_UNAVAILABLE", "storage does not answer");
    const { report: send } = serve({ report: () => Promise.reject(away) });
    expect(await send(report)).toEqual({ answers: [ReportAnswer.LATER, ReportAnswer.LATER] });
  });

  it("takes no report and no sync of an agent without the cluster's secret, and tells it why", async () => {
    const unused = () => Promise.reject(new Error("it was asked"));
    const { report: send, sync } = serve({ report: unused, sync: unused });
    const proof = "of another cluster";
    expect(await send({ ...report, proof })).toEqual({ answers: [ReportAnswer.LATER, ReportAnswer.LATER] });
    const request = { host: Host.fromPartial({ id: "h1" }), statuses: [], term: 0, withoutSpec: [], proof };
    expect(await sync(request)).toMatchObject({ ready: false, refused: { code: "WRONG_CLUSTER_SECRET" } });
    expect(strangers).toEqual(["h1"]);
  });

  it("lets an agent speak for its own host only", async () => {
    const { report: send, sync } = serve({});
    await expect(send(report, "h2")).rejects.toMatchObject({ code: "denied", reason: "WRONG_HOST" });
    const request = { host: Host.fromPartial({ id: "h1" }), statuses: [], term: 0, withoutSpec: [] };
    await expect(sync(request, "h2")).rejects.toMatchObject({ code: "denied", reason: "WRONG_HOST" });
    await expect(sync({ host: undefined, statuses: [], term: 0, withoutSpec: [] })).rejects.toMatchObject({
      code: "invalid",
    });
  });

  it("reads a sync, and writes verdicts; or says that it is not ready", async () => {
    const seen: HostSync[] = [];
    const answers: (SyncAnswer | undefined)[] = [
      {
        epoch: "e",
        term: 3,
        missing: undefined,
        verdicts: [{ run, verdict: { kind: "stop", cause: "superseded", by: "" } }],
      },
      undefined,
    ];
    const { sync } = serve({
      sync: async (news) => {
        seen.push(news);
        return answers.shift();
      },
    });
    const status = { ...report.statuses[0]!, phase: RunPhase.RUNNING };
    const request = SyncRequest.fromPartial({
      host: { id: "h1", journalId: "j1" },
      statuses: [status],
      term: 2,
      withoutSpec: [run],
    });
    expect(await sync(request)).toEqual({
      ready: true,
      epoch: "e",
      term: 3,
      missing: undefined,
      verdicts: [{ run, verdict: Verdict.STOP, reason: "SUPERSEDED", by: "" }],
    });
    expect(seen[0]).toMatchObject({ hostId: "h1", journalId: "j1", runs: [run], withoutSpec: [run] });
    expect(await sync(request)).toMatchObject({ ready: false, verdicts: [] });
  });
});
