import { AssignRequest, ReportRequest } from "@berth/contracts/agent";
import { Host } from "@berth/contracts/types";
import type { Run } from "@berth/core";
import { describe, expect, it } from "vitest";
import type { TaskFacts } from "../domain/run-view.ts";
import type { Knowledge } from "../domain/verdicts.ts";
import type { RunStore } from "../ports/run-store.ts";
import { Watcher } from "./watcher.ts";

const run = (taskId: string, attempt = 1, epoch = "e1"): Run => ({ epoch, taskId, attempt });

const aReport = (name: string) => ReportRequest.fromPartial({ journalId: name });

function setUp(known: Record<string, Knowledge> = {}, refused = () => false) {
  let nowMs = 0;
  let canHear = true;
  const calls: string[] = [];
  const woken: string[] = [];
  const store: RunStore = {
    follow: () => Promise.reject(new Error("not followed in this test")),
    async report(report) {
      calls.push(`report ${report.journalId}`);
      return { answers: [] };
    },
    async reportLost(hostId, journalId, runs) {
      calls.push(`lost ${hostId} ${journalId} ${runs.map(({ taskId }) => taskId)}`);
    },
    async lookUp(hostId, ask, missing, withoutSpec) {
      calls.push(
        `lookUp ${hostId} ask ${ask.map(({ taskId }) => taskId)} missing ${[...missing, ...withoutSpec].map(({ taskId }) => taskId)}`,
      );
      return {
        known: ask.map(({ taskId }) => known[taskId] ?? "current"),
        assign: AssignRequest.fromPartial({ assignments: missing.map((run) => ({ run })) }),
      };
    },
    async seeHost({ host, unknownRuns }) {
      calls.push(`see ${host.driver} unknown ${unknownRuns.map(({ taskId }) => taskId)}`);
      return { term: 7, refused: refused() };
    },
    async loseRuns(hostId, listenedMs, marginMs) {
      calls.push(`lose ${hostId} ${listenedMs} ${marginMs}`);
      return { retried: 1, lost: 0 };
    },
    async silent(hostIds) {
      calls.push(`silent ${hostIds}`);
    },
  };
  const nothing = () => {};
  const watcher = new Watcher({
    store,
    waker: { wake: (hostId) => woken.push(hostId) },
    instruments: { sync: nothing, verdict: nothing, woke: nothing, lost: nothing, duplicateHostName: nothing },
    logger: { info: nothing, warn: nothing },
    now: () => nowMs,
    lossMarginMs: 5_000,
    canHear: () => canHear,
  });
  let revision = 0;
  const rows = (...tasks: (Partial<TaskFacts> & { id: string })[]) =>
    watcher.onRows(
      tasks.map((facts) => ({
        kind: "task" as const,
        task: {
          revision: ++revision,
          state: "placed" as const,
          attempt: 1,
          hostId: "h1",
          journalId: "j1",
          request: undefined,
          requestBy: "",
          isArray: false,
          ...facts,
        },
      })),
    );
  const sync = (
    runs: readonly Run[] = [],
    journalId = "j1",
    withoutSpec: readonly Run[] = [],
    over: readonly Run[] = [],
    agentId = "",
  ) =>
    watcher.sync({
      host: Host.fromPartial({ driver: "HOST" }),
      hostId: "h1",
      journalId,
      agentId,
      runs,
      over,
      withoutSpec,
    });
  /** Of a sync that is answered with verdicts. */
  const kinds = async (...args: Parameters<typeof sync>) => {
    const answer = await sync(...args);
    if (!answer || answer === "refused") throw new Error("no verdicts");
    return answer.verdicts.map(({ verdict }) => verdict.kind);
  };
  watcher.onStart("e1");
  /** Time passes, with a look every second as in life. */
  const pass = (toMs: number) => {
    while (nowMs < toMs) {
      nowMs = Math.min(toMs, nowMs + 1_000);
      watcher.listen();
    }
  };
  return {
    watcher,
    calls,
    woken,
    rows,
    sync,
    kinds,
    pass,
    at: (ms: number) => (nowMs = ms),
    hear: (can: boolean) => (canHear = can),
  };
}

describe("Watcher", () => {
  it("says nothing before its view is whole, when it is too old, or when it begins again", async () => {
    const { watcher, sync, at, calls } = setUp();
    expect(await sync([run("1")])).toBeUndefined();
    watcher.onCaughtUp();
    expect(await sync()).toBeDefined();
    at(30_000);
    expect(await sync()).toBeUndefined();
    watcher.onCaughtUp();
    expect(await sync()).toBeDefined();
    watcher.onStart("e2");
    expect(await sync()).toBeUndefined();
    expect(calls).toEqual(["see HOST unknown ", "see HOST unknown "]);
  });

  it("asks storage before it calls a run unknown, and tells storage of those", async () => {
    const { watcher, sync, rows, calls } = setUp({ "5": "unknown", "6": "over" });
    rows({ id: "1" }, { id: "2" });
    watcher.onCaughtUp();
    const answer = await sync([run("1"), run("5"), run("6")]);
    expect(answer).toMatchObject({
      epoch: "e1",
      term: 7,
      verdicts: [
        { run: run("1"), verdict: { kind: "run" } },
        { run: run("5"), verdict: { kind: "unknown" } },
        { run: run("6"), verdict: { kind: "stop", cause: "over", by: "" } },
      ],
      missing: { assignments: [{ run: { taskId: "2" } }] },
    });
    // Not seen for long: once the database knows that the host is there, it is asked about all that is to go on.
    expect(calls.splice(0)).toEqual(["lookUp h1 ask 5,6 missing ", "see HOST unknown 5", "lookUp h1 ask 1 missing 2"]);
  });

  it("shows no unknown run that is over: it takes no place, and only waits to be settled", async () => {
    const { watcher, kinds, calls } = setUp({ "5": "unknown", "6": "unknown" });
    watcher.onCaughtUp();
    expect(await kinds([run("5"), run("6")], "j1", [], [run("6")])).toEqual(["unknown", "unknown"]);
    expect(calls).toContain("see HOST unknown 5");
  });

  it("gives up runs of a journal that is gone only when the new one is there to stay", async () => {
    const { watcher, sync, rows, calls, at } = setUp();
    rows({ id: "1", state: "running" });
    watcher.onCaughtUp();
    await sync([], "j2");
    at(10_000);
    await sync([], "j2");
    expect(calls).toEqual(["see HOST unknown ", "see HOST unknown ", "lost h1 j2 1"]);
  });

  it("wakes a host at once when something is asked of what runs there", () => {
    const { watcher, rows, woken } = setUp();
    rows({ id: "1", request: "kill" });
    watcher.onCaughtUp();
    expect(woken).toEqual([]); // of before its time: each host's sync tells
    rows({ id: "1", request: "kill" }, { id: "2", hostId: "h2" });
    rows({ id: "2", hostId: "h2", request: "suspend" });
    expect(woken).toEqual(["h2"]);
  });

  it("wakes a host whose placement nobody took up, and not one that reported it", async () => {
    const { watcher, rows, woken, at } = setUp();
    watcher.onCaughtUp();
    rows({ id: "1" }, { id: "2", hostId: "h2" });
    await watcher.report({ hostId: "h2", agentId: "", runs: [run("2")], report: aReport("preparing") });
    await watcher.onTick();
    at(2_000);
    await watcher.onTick();
    expect(woken).toEqual(["h1"]);
  });

  it("tells storage of hosts that it has not heard", async () => {
    const { watcher, calls, pass } = setUp();
    watcher.onRows(
      ["h1", "h2"].map((id) => ({ kind: "host" as const, host: { id, revision: 1, up: true, agentId: "" } })),
    );
    pass(29_000);
    watcher.onCaughtUp();
    await watcher.report({ hostId: "h2", agentId: "", runs: [], report: aReport("r") });
    await watcher.onTick();
    pass(31_000);
    await watcher.onTick();
    expect(calls).toEqual(["report r", "silent h1"]);
  });

  it("lets storage give up runs of hosts that it listened to in vain, and asks again only after a while", async () => {
    const { watcher, calls, pass, rows, hear } = setUp();
    const tick = async () => {
      watcher.onCaughtUp();
      await watcher.onTick();
      return calls.splice(0).filter((call) => call.startsWith("lose"));
    };
    rows({ id: "1", state: "running" }, { id: "2", state: "running", hostId: "h2" });
    watcher.onCaughtUp();
    pass(10_000);
    await watcher.report({ hostId: "h2", agentId: "", runs: [], report: aReport("r") });
    pass(15_000);
    expect(await tick()).toEqual([]);
    pass(16_000);
    expect(await tick()).toEqual(["lose h1 16000 5000"]);
    pass(20_000);
    expect(await tick()).toEqual([]);
    pass(26_000);
    expect(await tick()).toEqual(["lose h1 26000 5000", "lose h2 16000 5000"]);
    // What could not be heard is not silence.
    hear(false);
    pass(40_000);
    expect(await tick()).toEqual([]);
    hear(true);
    pass(55_000);
    expect(await tick()).toEqual([]);
    pass(56_000);
    expect(await tick()).toEqual(["lose h1 16000 5000", "lose h2 16000 5000"]);
  });

  it("takes the time in which it stood still for no listening", async () => {
    const { watcher, calls, pass, at, rows } = setUp();
    rows({ id: "1", state: "running" });
    watcher.onCaughtUp();
    pass(10_000);
    at(100_000);
    watcher.onCaughtUp();
    await watcher.onTick();
    expect(calls.filter((call) => call.startsWith("lose"))).toEqual([]);
  });

  it("asks storage about a host that comes back: what was given up may still be in view", async () => {
    const known: Record<string, Knowledge> = {};
    const { watcher, kinds, rows, calls, pass } = setUp(known);
    rows({ id: "1", state: "running" });
    const synced = async () => {
      watcher.onCaughtUp();
      calls.splice(0);
      return kinds([run("1")]);
    };
    for (let ms = 0; ms <= 40_000; ms += 10_000) {
      pass(ms);
      expect(await synced()).toEqual(["run"]);
    }
    expect(calls).toEqual(["see HOST unknown "]); // steady: the view is enough
    pass(56_000);
    known["1"] = "superseded";
    expect(await synced()).toEqual(["stop"]);
    expect(calls).toEqual(["see HOST unknown ", "lookUp h1 ask 1 missing "]);
    pass(80_000);
    expect(await synced()).toEqual(["stop"]); // not for half a minute yet
  });

  it("refuses a second agent of a host name, wakes the first, and takes no report of the second", async () => {
    let isTaken = true;
    const { watcher, sync, calls, woken, at, rows } = setUp({}, () => isTaken);
    watcher.onRows([{ kind: "host", host: { id: "h1", revision: 1, up: true, agentId: "first" } }]);
    rows({ id: "1" });
    watcher.onCaughtUp();
    woken.length = 0;
    for (const [ms, wakes] of [
      [0, 1],
      [1_000, 1],
      [2_000, 2],
    ] as const) {
      at(ms);
      expect(await sync([run("1")], "j2", [], [], "second")).toBe("refused");
      expect(woken).toHaveLength(wakes);
    }
    expect(calls).toEqual(["see HOST unknown ", "see HOST unknown ", "see HOST unknown "]);
    const second = { hostId: "h1", agentId: "second", runs: [run("1")], report: aReport("r") };
    await expect(watcher.report(second)).rejects.toMatchObject({ code: "denied", reason: "HOST_NAME_TAKEN" });
    isTaken = false;
    await watcher.report({ ...second, agentId: "first" });
    expect(await sync([], "j2", [], [], "second")).toMatchObject({ term: 7 });
  });
});
