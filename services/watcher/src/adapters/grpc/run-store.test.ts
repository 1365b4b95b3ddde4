import { AppError } from "@berth/core";
import { ReportAnswer } from "@berth/contracts/agent";
import type { ApplyReportsRequest, SyncHostsRequest } from "@berth/contracts/store";
import { Host } from "@berth/contracts/types";
import { silentLogger } from "@berth/runtime";
import { describe, expect, it } from "vitest";
import { lostReport } from "../codec.ts";
import { grpcRunStore } from "./run-store.ts";

const broken = new AppError("internal", "INTERNAL", "broken");

function setUp() {
  const aside: string[] = [];
  const client = {
    async applyReports({ reports }: ApplyReportsRequest) {
      if (reports.some(({ statuses }) => statuses.some(({ run }) => run?.taskId === "13"))) throw broken;
      return { replies: reports.map(({ statuses }) => ({ answers: statuses.map(() => ReportAnswer.COMMITTED) })) };
    },
    async syncHosts({ hosts }: SyncHostsRequest) {
      if (hosts.some(({ id }) => id === "bad")) throw broken;
      return { epoch: "e", term: 3, refused: [] };
    },
  };
  const store = grpcRunStore(client as never, {
    logger: silentLogger,
    setAside: { add: (id) => void aside.push(id), clear: () => {} },
    problems: { set: () => {}, clear: () => {} },
    now: () => new Date(0),
    onReports: () => {},
  });
  return { store, aside };
}

describe("grpcRunStore", () => {
  it("commits all reports but the one that storage fails on, which comes again later", async () => {
    const { store, aside } = setUp();
    const report = (hostId: string, ...taskIds: string[]) =>
      store.report(
        lostReport(
          hostId,
          "j",
          taskIds.map((taskId) => ({ epoch: "e", taskId, attempt: 1 })),
          new Date(0),
        ),
      );
    const { COMMITTED, LATER } = ReportAnswer;
    expect(await Promise.all([report("h1", "1", "13", "2"), report("h2", "3"), report("h3", "4", "5")])).toEqual([
      { answers: [COMMITTED, LATER, COMMITTED] },
      { answers: [COMMITTED] },
      { answers: [COMMITTED, COMMITTED] },
    ]);
    expect(aside).toEqual(["13"]);
    expect(await report("h1", "13")).toEqual({ answers: [LATER] });
  });

  it("stores news of all hosts but the one that storage fails on", async () => {
    const { store } = setUp();
    const see = (id: string) => store.seeHost({ host: Host.fromPartial({ id }), unknownRuns: [] });
    const [one, bad, two] = await Promise.allSettled([see("h1"), see("bad"), see("h2")]);
    expect([one, two]).toMatchObject([{ value: { term: 3 } }, { value: { term: 3 } }]);
    expect(bad).toMatchObject({ reason: { reason: "INTERNAL" } });
  });
});
