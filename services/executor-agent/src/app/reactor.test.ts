import { RunVerdict, Verdict } from "@berth/contracts/agent";
import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import { describe, expect, it } from "vitest";
import type { HeldRun } from "../domain/held-run.ts";
import { later, needs as leased, now, running } from "../testing/held-runs.ts";
import type { HostState } from "./draft.ts";
import type { Effect } from "./effects.ts";
import {
  onAnswers,
  onAssign,
  onDeadline,
  onEvents,
  onFirstBatch,
  onPaused,
  onSaved,
  onSyncReply,
  onTaken,
  onWaitedTooLong,
} from "./reactor.ts";

const needs = { ...leased, leaseMs: 0 };
const run = (taskId: string): Run => ({ epoch: "e", taskId, attempt: 1 });
const held = (taskId: string, more: Partial<HeldRun> = {}): HeldRun =>
  running({ key: runKey(run(taskId)), run: run(taskId), needs, ...more });
const accepted = (taskId: string): HeldRun => held(taskId, { phase: { kind: "accepted" } });

/** A host with these runs; of the others it had within the hour, only the keys. */
function host(runs: readonly HeldRun[] = [], { settled = [], term = 0 }: { settled?: Run[]; term?: number } = {}) {
  const byKey = new Map(runs.map((one) => [one.key, one]));
  const keys = new Set([...byKey.keys(), ...settled.map(runKey)]);
  const state: HostState = {
    get: (key) => byKey.get(key),
    values: () => byKey.values(),
    isHeld: (key) => keys.has(key),
    journalId: "j",
    termOf: () => term,
    capacity: { cpuMilli: 4000, memoryBytes: 2 ** 32 },
    canSuspend: true,
    heardElapsedMs: now.elapsedMs,
    waiting: 0,
  };
  return state;
}

const names = (effects: readonly Effect[]): string[] => effects.map((effect) => effect.do);
const saved = (effects: readonly Effect[]) =>
  effects.flatMap((effect) =>
    effect.do === "save" ? [[effect.held.run.taskId, effect.held.phase.kind, effect.urgency]] : [],
  );
const ended = (taskId: string) =>
  ({
    kind: "ended",
    run: run(taskId),
    startedAt: undefined,
    at: now.at,
    exitCode: 0,
    signal: undefined,
    outOfMemory: false,
    usage: { cpuMs: 1, peakMemoryBytes: 1 },
    stdoutBytes: 0,
    stderrBytes: 0,
  }) as const;
const verdict = (taskId: string, kind: Verdict, reason = "") =>
  RunVerdict.fromPartial({ run: run(taskId), verdict: kind, reason });
const reply = (...verdicts: RunVerdict[]) => ({ verdicts, term: 0, epoch: "e" });

describe("the driver's events", () => {
  it("writes an end at once, and starts what waits for the place it frees", () => {
    const effects = onEvents(host([held("1")]), [ended("1")], now);
    expect(names(effects)).toEqual(["save", "over", "commit", "startWaiting"]);
    expect(saved(effects)).toEqual([["1", "ended", "now"]]);
  });

  it("sees in the second event of a batch what the first one changed", () => {
    const started = { kind: "started", run: run("1"), at: now.at } as const;
    const effects = onEvents(host([accepted("1")]), [started, ended("1"), ended("1")], now);
    expect(saved(effects)).toEqual([
      ["1", "running", "soon"],
      ["1", "ended", "now"],
    ]);
  });

  it("keeps frozen a run that the journal does not have, until the server says why it is", () => {
    const found = { kind: "found", run: run("1"), startedAt: now.at } as const;
    for (const [more, frozen] of [
      [{ suspended: true }, true],
      [{ suspended: false, leased: true }, true],
      [{ suspended: false }, false],
    ] as const) {
      const effects = onEvents(host(), [{ ...found, ...more }], now);
      expect(effects.find((effect) => effect.do === "save")).toMatchObject({ held: { frozen } });
      expect(names(effects)).toContain("note");
    }
  });

  it("takes over a run that is missing in the journal, even one that has not begun, and reports it", () => {
    const found = { kind: "found", run: run("1"), startedAt: undefined, suspended: false } as const;
    expect(saved(onEvents(host(), [found], now))).toEqual([["1", "starting", "memory"]]);
    expect(onEvents(host([held("1")]), [found], now)).toEqual([]);
  });

  it("tells the driver again of a run that is settled, and saves nothing of it", () => {
    expect(onEvents(host([], { settled: [run("1")] }), [ended("1")], now)).toEqual([
      { do: "settleAgain", runs: [run("1")] },
    ]);
  });

  it("reports a running run as lost if the first batch does not name it, and starts it if it had not begun", () => {
    const effects = onFirstBatch(host([held("1"), accepted("2"), held("3")]), [ended("3")], now);
    expect(saved(effects)).toEqual([["1", "ended", "now"]]);
    expect(effects).toContainEqual({ do: "act", keys: ["1", "2", "3"].map((id) => runKey(run(id))) });
  });

  it("takes back what waits in a lane since an earlier life of the agent, and not what has begun", () => {
    const found = (taskId: string, startedAt: Date | undefined) =>
      ({ kind: "found", run: run(taskId), startedAt, suspended: false }) as const;
    const effects = onFirstBatch(host(), [found("1", now.at), found("2", undefined)], now);
    expect(effects).toContainEqual({ do: "takeBack", runs: [run("2")] });
  });
});

describe("the server's verdicts", () => {
  it("stop a run only by a stop: nothing is done about one that the reply does not name", () => {
    const state = host([held("1"), held("2"), held("3")]);
    const effects = onSyncReply(
      state,
      reply(verdict("1", Verdict.STOP, "KILLED"), verdict("2", Verdict.UNKNOWN)),
      undefined,
      0,
      now,
    );
    const stops = effects.flatMap((effect) =>
      effect.do === "save" ? [[effect.held.run.taskId, effect.held.stop?.cause]] : [],
    );
    expect(stops).toEqual([
      ["1", "killed"],
      ["2", undefined],
    ]);
  });

  it("never start a run whose stop came before it, and report that", () => {
    const effects = onSyncReply(host(), reply(verdict("9", Verdict.STOP, "KILLED")), undefined, 0, now);
    expect(saved(effects)).toEqual([["9", "refused", "now"]]);
  });

  it("leave out a stop for a run that is settled, and a verdict that this version does not know", () => {
    const state = host([held("1")], { settled: [run("2")] });
    const effects = onSyncReply(
      state,
      reply(
        verdict("2", Verdict.STOP, "KILLED"),
        verdict("1", "VERDICT_OF_TOMORROW" as Verdict),
        verdict("1", Verdict.STOP, "NEW"),
      ),
      undefined,
      0,
      now,
    );
    expect(names(effects)).toEqual(["heard"]);
  });

  it("renew a lease without a write of its own, and tell the driver", () => {
    const renewable = held("1", { needs: { ...needs, leaseMs: 10_000 }, renewedElapsedMs: now.elapsedMs });
    const effects = onSyncReply(
      host([renewable]),
      reply(verdict("1", Verdict.RUN)),
      undefined,
      now.elapsedMs + 5_000,
      later(5_000),
    );
    expect(saved(effects)).toEqual([["1", "running", "soon"]]);
    expect(names(effects)).toEqual(["heard", "save", "extendLeases"]);
  });
});

describe("the server's offers", () => {
  const offer = (taskId: string, leaseMs = 0) => ({
    run: run(taskId),
    specId: 1,
    needs: { ...needs, leaseMs },
    journalId: "j",
  });

  it("are taken over with the term that came with them, in one write", () => {
    const effects = onAssign(host([], { term: 1 }), { offers: [offer("1")], term: 2 }, now);
    expect(effects).toMatchObject([
      { do: "takeOver", runs: [{ phase: { kind: "accepted" } }], term: { epoch: "e", term: 2 } },
    ]);
  });

  it("are passed over where the run is here, or was", () => {
    const state = host([held("1")], { settled: [run("2")], term: 1 });
    expect(onAssign(state, { offers: [offer("1"), offer("2")], term: 1 }, now)).toEqual([]);
  });

  it("give a run that was found without its spec its limits, and only a run with a lease stays frozen", () => {
    const found = (taskId: string) => held(taskId, { specId: undefined, frozen: true });
    const effects = onAssign(host([found("1"), found("2")]), { offers: [offer("1"), offer("2", 5_000)], term: 0 }, now);
    expect(effects[0]).toMatchObject({
      do: "takeOver",
      runs: [
        { specId: 1, frozen: false },
        { specId: 1, frozen: true },
      ],
    });
    expect(names(effects)).toEqual(["takeOver", "syncWithin"]);
  });

  it("are taken over frozen where the message took longer than the lease", () => {
    const effects = onAssign(host(), { offers: [offer("1", 5_000)], term: 0 }, later(6_000));
    expect(effects[0]).toMatchObject({ runs: [{ frozen: true, phase: { kind: "accepted" } }] });
  });

  it("are refused by the reason's code where an older leader placed them", () => {
    const effects = onAssign(host([], { term: 3 }), { offers: [offer("1")], term: 2 }, now);
    expect(effects).toMatchObject([
      { do: "takeOver", runs: [{ phase: { kind: "refused" } }], term: undefined },
      { do: "countRefusal", code: "STALE_TERM" },
      { do: "note", note: "refused" },
    ]);
  });

  it("are refused in the end where they waited too long for room, but for those that have begun", () => {
    const effects = onWaitedTooLong(
      host([accepted("1"), held("2")]),
      ["1", "2"].map((id) => runKey(run(id))),
      now,
    );
    expect(saved(effects)).toEqual([["1", "refused", "now"]]);
  });
});

describe("steps", () => {
  it("are done for all runs of one kind together, and a signal's stage is saved before it is sent", () => {
    const stop = { cause: "killed", by: "ann", stage: "wanted", sentElapsedMs: 0 } as const;
    const runs = [accepted("1"), held("2", { stop }), accepted("3")];
    const effects = onSaved(
      host(runs),
      runs.map(({ key }) => key),
      now,
    );
    expect(names(effects)).toEqual(["save", "start", "term"]);
    expect(effects[0]).toMatchObject({ held: { stop: { stage: "term", sentElapsedMs: now.elapsedMs } } });
    expect(effects[1]).toEqual({ do: "start", keys: [runs[0]!.key, runs[2]!.key] });
  });

  it("stop a run at its time limit only after that is on disk", () => {
    const limited = held("1", { needs: { ...needs, timeLimitMs: 1_000 } });
    const effects = onDeadline(host([limited, held("2")]), later(2_000));
    expect(saved(effects)).toEqual([["1", "running", "now"]]);
    expect(names(effects)).toEqual(["save", "nextDeadline", "commit", "act"]);
  });

  it("carry out a stop that came while the driver took the run over", () => {
    const stop = { cause: "killed", by: "ann", stage: "wanted", sentElapsedMs: 0 } as const;
    const runs = [held("1"), held("2", { stop })];
    expect(
      onTaken(
        host(runs),
        runs.map(({ key }) => key),
      ),
    ).toEqual([{ do: "act", keys: [runs[1]!.key] }]);
  });

  it("report a suspended run without delay", () => {
    const effects = onPaused(host([held("1")]), runKey(run("1")), true);
    expect(saved(effects)).toEqual([["1", "suspended", "now"]]);
    expect(names(effects)).toEqual(["save", "reportNow"]);
  });

  it("follow an answer for an end, and not for a run that is settled by now", () => {
    const over = held("1", { phase: { kind: "refused", reason: { code: "X", message: "" }, refusedAt: now.at } });
    const key = (id: string) => runKey(run(id));
    expect(
      onAnswers(host([over]), [
        { key: key("1"), answer: "committed" },
        { key: key("2"), answer: "committed" },
      ]),
    ).toMatchObject([
      { do: "save", held: { answer: "committed" } },
      { do: "act", keys: [key("1")] },
    ]);
  });
});
