import { RunPhase, Verdict } from "@berth/contracts/agent";
import type { SyncReply, SyncRequest } from "@berth/contracts/agent";
import { afterEach, describe, expect, it } from "vitest";
import { memoryJournal } from "../adapters/memory/memory-journal.ts";
import { Control, assign, endHosts, eventually, startHost, watchedDriver } from "../testing/agent-host.ts";

afterEach(endHosts);

describe("leases of an agent's runs", () => {
  const wanted = ({ statuses }: SyncRequest): Partial<SyncReply> => ({
    verdicts: statuses.map(({ run }) => ({ run, verdict: Verdict.RUN, reason: "", by: "" })),
  });
  const long = ["sim", "60s"];

  it("asks often enough, freezes a run when nobody answers, and lets it go on with the next answer", async () => {
    const { driver, said } = watchedDriver();
    const journal = memoryJournal();
    const { agent, control } = await startHost({ driver, journal });
    control.reply = wanted;
    await control.until(() => control.syncs.length > 0);
    const leased = { id: "1", command: long, leaseMs: 600 };
    await agent.onAssign(assign(journal.id, [leased, { id: "2", command: long }]));
    await control.until(() => control.last("1")?.phase === RunPhase.RUNNING);
    const before = control.syncs.length;
    await control.until(() => control.syncs.length >= before + 4);
    expect(said).toEqual([]);
    control.reply = () => {
      throw new Error("cut off");
    };
    await eventually(() => said.length > 0);
    expect(said).toEqual(["stop 1"]);
    expect(agent.frozenRuns).toBe(1);
    // Frozen is not suspended: nobody asked for it.
    await eventually(() => control.syncs.at(-1)!.statuses.length === 2);
    expect(control.syncs.at(-1)!.statuses.map(({ phase }) => phase)).toEqual([RunPhase.RUNNING, RunPhase.RUNNING]);
    control.reply = wanted;
    await eventually(() => said.length > 1);
    expect(said).toEqual(["stop 1", "go 1"]);
    expect(agent.frozenRuns).toBe(0);
    expect(control.of("1").some(({ phase }) => phase === RunPhase.SUSPENDED)).toBe(false);
  });

  it("freezes what is overdue when it starts, and ends it at once where it was superseded", async () => {
    const { driver, said } = watchedDriver();
    const journal = memoryJournal();
    const first = await startHost({ driver, journal });
    first.control.reply = wanted;
    await first.control.until(() => first.control.syncs.length > 0);
    await first.agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "60s", "ignore-term"], leaseMs: 300 }]));
    await first.control.until(() => first.control.last("1")?.phase === RunPhase.RUNNING);
    await first.end();
    expect(said).toEqual([]);
    const control = new Control();
    let mayAnswer = false;
    control.reply = ({ statuses }) => {
      if (!mayAnswer) throw new Error("cut off");
      return { verdicts: statuses.map(({ run }) => ({ run, verdict: Verdict.STOP, reason: "SUPERSEDED", by: "" })) };
    };
    await startHost({ driver, journal, control, aheadMs: () => 320 });
    await eventually(() => said.length > 0);
    expect(new Set(said)).toEqual(new Set(["stop 1"]));
    mayAnswer = true;
    await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
    expect(control.last("1")).toMatchObject({ signal: 9 });
  });

  it("freezes a run as soon as it has begun whose lease passed while it was being started", async () => {
    const { driver, said } = watchedDriver();
    const journal = memoryJournal();
    const begin = Promise.withResolvers<void>();
    const slow = {
      ...driver,
      runTasks: async (tasks: Parameters<typeof driver.runTasks>[0]) =>
        void begin.promise.then(() => driver.runTasks(tasks)),
    };
    const { agent, control } = await startHost({ driver: slow, journal });
    control.reply = wanted;
    await control.until(() => control.syncs.length > 0);
    control.reply = () => {
      throw new Error("cut off");
    };
    await agent.onAssign(assign(journal.id, [{ id: "1", command: long, leaseMs: 300 }]));
    await eventually(() => agent.frozenRuns === 1);
    begin.resolve();
    await eventually(() => said.length > 0);
    expect(said).toEqual(["stop 1"]);
  });

  it("begins no run whose lease passed on its way here, before it is asked about", async () => {
    const journal = memoryJournal();
    const control = new Control();
    let [mayAnswer, ahead] = [true, 0];
    control.reply = (request) => {
      if (!mayAnswer) throw new Error("cut off");
      return wanted(request);
    };
    const { agent } = await startHost({ journal, control, aheadMs: () => ahead });
    await control.until(() => control.syncs.length > 0);
    [mayAnswer, ahead] = [false, 61_000];
    await agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "0"], leaseMs: 60_000 }]));
    agent.wake();
    await eventually(() => control.syncs.some(({ statuses }) => statuses.length > 0));
    expect(control.of("1")).toEqual([]);
    mayAnswer = true;
    await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
  });
});
