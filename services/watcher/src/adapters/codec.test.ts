import { RunPhase, Verdict } from "@berth/contracts/agent";
import type { ReportRequest } from "@berth/contracts/agent";
import { Change, RunKnowledge, TaskRow } from "@berth/contracts/store";
import { Host, HostStatus, TaskRequest, TaskState } from "@berth/contracts/types";
import { describe, expect, it } from "vitest";
import { knowledgeFromWire, lostReport, rowFromWire, verdictToWire } from "./codec.ts";
import { portions } from "./grpc/run-store.ts";

const run = { epoch: "e1", taskId: "7.3", attempt: 2 };
const throughWire = (change: Change) => rowFromWire(Change.decode(Change.encode(change).finish()));

describe("codec", () => {
  it("reads what it needs of feed rows", () => {
    const row = TaskRow.fromPartial({
      id: "7.3",
      state: TaskState.RUNNING,
      attempt: 2,
      hostId: "h1",
      journalId: "j1",
      request: TaskRequest.KILL,
      requestBy: "ada",
    });
    expect(throughWire({ revision: 5, row: { $case: "task", value: row } })).toEqual({
      kind: "task",
      task: {
        id: "7.3",
        revision: 5,
        state: "running",
        attempt: 2,
        hostId: "h1",
        journalId: "j1",
        request: "kill",
        requestBy: "ada",
        isArray: false,
      },
    });
    const host = Host.fromPartial({ id: "h1", status: HostStatus.SILENT });
    expect(throughWire({ revision: 6, row: { $case: "host", value: host } })).toEqual({
      kind: "host",
      host: { id: "h1", revision: 6, up: false, agentId: "" },
    });
  });

  it("leaves out rows of states that it does not know", () => {
    expect(
      rowFromWire({ revision: 1, row: { $case: "task", value: TaskRow.fromPartial({ id: "1" }) } }),
    ).toBeUndefined();
    expect(rowFromWire({ revision: 1, row: undefined })).toBeUndefined();
  });

  it("takes what storage says in words it does not know for nothing that ends a run", () => {
    expect(
      [
        RunKnowledge.CURRENT,
        RunKnowledge.OVER,
        RunKnowledge.SUPERSEDED,
        RunKnowledge.UNKNOWN,
        RunKnowledge.UNSPECIFIED,
      ].map(knowledgeFromWire),
    ).toEqual(["current", "over", "superseded", "unknown", "current"]);
  });

  it("names the cause of a stop, and nothing for the others", () => {
    expect(verdictToWire({ run, verdict: { kind: "stop", cause: "killed", by: "ada" } })).toEqual({
      run,
      verdict: Verdict.STOP,
      reason: "KILLED",
      by: "ada",
    });
    expect(verdictToWire({ run, verdict: { kind: "unknown" } })).toEqual({
      run,
      verdict: Verdict.UNKNOWN,
      reason: "",
      by: "",
    });
  });

  it("reports lost runs as ended, with the reason", () => {
    expect(lostReport("h1", "j2", [run], new Date(5)).statuses).toMatchObject([
      { run, phase: RunPhase.ENDED, reason: { code: "JOURNAL_LOST" }, endTime: new Date(5) },
    ]);
  });

  it("cuts reports into calls of bounded size, in order", () => {
    const report = (hostId: string, count: number): ReportRequest => ({
      ...lostReport(
        hostId,
        "j",
        Array.from({ length: count }, () => run),
        new Date(0),
      ),
    });
    const parts = portions([report("a", 3000), report("b", 2000), report("c", 1), report("d", 6000), report("e", 1)]);
    expect(parts.map((part) => part.map(({ hostId }) => hostId))).toEqual([["a", "b"], ["c"], ["d"], ["e"]]);
    expect(portions([])).toEqual([]);
  });
});
