import { RunPhase, Verdict } from "@berth/contracts/agent";
import { Outcome } from "@berth/contracts/types";
import { afterEach, describe, expect, it } from "vitest";
import { memoryJournal } from "../adapters/memory/memory-journal.ts";
import { simDriver } from "../adapters/sim/sim-driver.ts";
import { Control, assign, capacity, endHosts, eventually, startHost, watchedDriver } from "../testing/agent-host.ts";

afterEach(endHosts);

describe("an agent that starts again", () => {
  it("asks for the specs of runs that it finds without a journal, and holds their limits from then on", async () => {
    const [driver, journal] = [simDriver({ capacity }), memoryJournal()];
    const first = await startHost({ driver, journal });
    const wanted = { id: "1", command: ["sim", "10s"], cpuMilli: 3000, timeLimitMs: 150 };
    await first.agent.onAssign(assign(journal.id, [wanted]));
    await first.end();
    const control = new Control();
    control.reply = ({ withoutSpec }) => (withoutSpec.length > 0 ? { missing: assign("of before", [wanted]) } : {});
    await startHost({ driver, control });
    await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
    expect(control.syncs[0]?.withoutSpec).toMatchObject([{ taskId: "1", attempt: 1 }]);
    expect(control.last("1")).toMatchObject({ outcome: Outcome.TIMED_OUT });
  });

  it("starts nothing new before it knows what the runs that it found may use", async () => {
    const [driver, journal, control] = [simDriver({ capacity }), memoryJournal(), new Control()];
    const old = memoryJournal();
    const first = await startHost({ driver, journal: old });
    await first.agent.onAssign(assign(old.id, [{ id: "1", command: ["sim", "10s"], cpuMilli: 3000 }]));
    await first.end();
    const { agent } = await startHost({ driver, journal, control });
    await agent.onAssign(assign(journal.id, [{ id: "2", command: ["sim"], cpuMilli: 1000 }]));
    expect(control.of("2")).toEqual([]);
    control.reply = () => ({ missing: assign("of before", [{ id: "1", command: ["sim", "10s"], cpuMilli: 3000 }]) });
    agent.wake();
    await control.until(() => control.last("2")?.phase === RunPhase.ENDED);
    expect(control.last("2")).toMatchObject({ outcome: Outcome.SUCCEEDED });
  });

  it("finds its runs again after a restart, and starts none twice", async () => {
    const journal = memoryJournal();
    const driver = simDriver({ capacity });
    const first = await startHost({ journal, driver });
    first.control.answer = () => undefined;
    await first.agent.onAssign(
      assign(journal.id, [
        { id: "1", command: ["sim", "150ms", "exit", "4"] },
        { id: "2", command: ["sim", "exit", "2"] },
      ]),
    );
    await first.control.until(() => first.control.of("2").length > 0);
    await first.end();
    const second = await startHost({ journal, driver });
    await second.control.until(
      () => second.control.of("1").some(({ phase }) => phase === RunPhase.ENDED) && second.control.of("2").length === 1,
    );
    expect(second.control.last("1")).toMatchObject({ exitCode: 4 });
    expect(second.control.syncs[0]?.statuses.map(({ run }) => run?.taskId).toSorted()).toEqual(["1", "2"]);
  });

  it("reports what ran before a boot of the machine as lost, and what is gone without a trace", async () => {
    const journal = memoryJournal();
    const first = await startHost({ journal });
    await first.agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "10s"] }]));
    await first.control.until(() => first.control.last("1")?.phase === RunPhase.RUNNING);
    await first.end();
    const second = await startHost({ journal, bootId: "boot-2" });
    await second.control.until(() => second.control.of("1").length === 1);
    expect(second.control.last("1")).toMatchObject({ outcome: Outcome.LOST, reason: { code: "HOST_REBOOTED" } });
    await second.agent.onAssign(assign(journal.id, [{ id: "2", command: ["sim", "10s"] }]));
    await second.control.until(() => second.control.last("2")?.phase === RunPhase.RUNNING);
    await second.end();
    const third = await startHost({ journal, bootId: "boot-2" });
    await third.control.until(() => third.control.of("2").length === 1);
    expect(third.control.last("2")).toMatchObject({ outcome: Outcome.LOST, reason: { code: "RUN_VANISHED" } });
  });

  it("tells after a boot how a run had ended, where the driver still knows it", async () => {
    const journal = memoryJournal();
    const driver = simDriver({ capacity });
    const first = await startHost({ journal, driver });
    await first.agent.onAssign(
      assign(journal.id, [{ id: "1", command: ["sim", "1s", "exit", "4"], timeLimitMs: 60_000 }]),
    );
    await first.control.until(() => first.control.last("1")?.phase === RunPhase.RUNNING);
    await first.end();
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const second = await startHost({ journal, driver, bootId: "boot-2", aheadMs: () => 3_600_000 });
    await second.control.until(() => second.control.last("1")?.phase === RunPhase.ENDED);
    expect(second.control.last("1")).toMatchObject({ outcome: Outcome.FAILED, exitCode: 4 });
  });

  it("adopts what the driver has and a lost journal does not, and asks about it", async () => {
    const driver = simDriver({ capacity });
    const journal = memoryJournal();
    const first = await startHost({ journal, driver });
    await first.agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "10s"] }]));
    await first.end();
    const second = await startHost({ driver });
    await second.control.until(() => second.control.syncs.length === 1);
    expect(second.control.syncs[0]?.statuses).toMatchObject([{ run: { taskId: "1" }, phase: RunPhase.RUNNING }]);
  });

  it("gives back what waits in a lane since before, and nothing that has begun", async () => {
    const journal = memoryJournal();
    const driver = simDriver({ capacity });
    const first = await startHost({ journal, driver });
    await first.agent.onAssign(
      assign(journal.id, [
        { id: "1", command: ["sim", "10s"] },
        { id: "2", command: ["sim", "10s"] },
      ]),
    );
    await first.end();
    const watchTasks: typeof driver.watchTasks = async function* (signal) {
      for await (const events of driver.watchTasks(signal))
        yield events.map((event) =>
          event.kind === "found" && event.run.taskId === "2" ? { ...event, startedAt: undefined } : event,
        );
    };
    const given: string[] = [];
    const takeBack: typeof driver.takeBack = async (unwanted) =>
      void given.push(...unwanted.map(({ taskId }) => taskId));
    await startHost({ journal, driver: { ...driver, watchTasks, takeBack } });
    expect(given).toEqual(["2"]);
  });

  it("keeps a run with a lease frozen after the journal was lost, until the server wants it", async () => {
    const { driver, said } = watchedDriver();
    const journal = memoryJournal();
    const first = await startHost({ journal, driver });
    await first.agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "500ms"] }]));
    await first.control.until(() => first.agent.liveRuns === 1);
    await first.end();
    const watchTasks: typeof driver.watchTasks = async function* (signal) {
      for await (const events of driver.watchTasks(signal))
        yield events.map((event) => (event.kind === "found" ? { ...event, leased: true } : event));
    };
    const control = new Control();
    control.reply = () => ({ ready: false });
    const second = await startHost({ driver: { ...driver, watchTasks }, control });
    expect(second.agent.frozenRuns).toBe(1);
    await eventually(() => said.length > 0);
    await control.until(() => control.syncs.length > 0);
    expect(new Set(said)).toEqual(new Set(["stop 1"]));
    expect(control.of("1").some(({ phase }) => phase === RunPhase.ENDED)).toBe(false);
    control.reply = ({ statuses }) => ({
      verdicts: statuses.map(({ run }) => ({ run, verdict: Verdict.UNKNOWN, reason: "", by: "" })),
    });
    second.agent.wake();
    await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
    expect(control.last("1")).toMatchObject({ exitCode: 0 });
  });

  it("does not start what its first answer stops, though it may start runs from that answer on", async () => {
    const [driver, journal, control] = [simDriver({ capacity }), memoryJournal(), new Control()];
    const started: string[] = [];
    const full = { ...driver, runTasks: () => Promise.reject(new Error("takes nothing")) };
    const first = await startHost({ driver: full, journal });
    const [stopped, wanted] = ["1", "2"].map((id) => ({ id, command: ["sim"] }));
    await first.agent.onAssign(assign(journal.id, [stopped!, wanted!]));
    await first.end();
    control.reply = ({ statuses }) => ({
      verdicts: statuses.map(({ run }) =>
        run?.taskId === "1"
          ? { run, verdict: Verdict.STOP, reason: "KILLED", by: "ann" }
          : { run, verdict: Verdict.RUN, reason: "", by: "" },
      ),
    });
    const told: typeof driver = {
      ...driver,
      runTasks: (tasks) => (started.push(...tasks.map(({ run }) => run.taskId)), driver.runTasks(tasks)),
    };
    await startHost({ driver: told, journal, control });
    await control.until(() => control.last("1") !== undefined && control.last("2")?.phase === RunPhase.ENDED);
    expect(control.of("1")).toMatchObject([{ phase: RunPhase.REFUSED, reason: { code: "NEVER_STARTED" } }]);
    expect(started).toEqual(["2"]);
  });
});
