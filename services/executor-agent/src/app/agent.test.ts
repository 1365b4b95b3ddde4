import {
  AssignRequest,
  ReportAnswer,
  ReportRequest,
  RunPhase,
  SyncReply,
  SyncRequest,
  Verdict,
} from "@berth/contracts/agent";
import type { RunStatus } from "@berth/contracts/agent";
import { OnHostLost, Outcome, RunSpec } from "@berth/contracts/types";
import type { Run } from "@berth/core";
import { silentLogger } from "@berth/runtime";
import { afterEach, describe, expect, it } from "vitest";
import { memoryJournal } from "../adapters/memory/memory-journal.ts";
import { simDriver } from "../adapters/sim/sim-driver.ts";
import { simFiles } from "../adapters/sim/sim-files.ts";
import type { ControlPlane } from "../ports/control-plane.ts";
import { Agent } from "./agent.ts";

const epoch = "0193-epoch";
const capacity = { cpuMilli: 4000, memoryBytes: 2 ** 32 };

/** The watchers, played by the test; everything goes through its wire form once. */
class Control implements ControlPlane {
  readonly reports: RunStatus[][] = [];
  readonly syncs: SyncRequest[] = [];
  answer: (status: RunStatus) => ReportAnswer | undefined = () => ReportAnswer.COMMITTED;
  reply: (request: SyncRequest) => Partial<SyncReply> = () => ({});
  #waiting: { isSo: () => boolean; resolve: () => void }[] = [];

  async sync(request: SyncRequest): Promise<SyncReply> {
    const seen = SyncRequest.decode(SyncRequest.encode(request).finish());
    this.syncs.push(seen);
    this.#look();
    return SyncReply.fromPartial({ ready: true, epoch, ...this.reply(seen) });
  }

  async report(statuses: readonly RunStatus[]): Promise<readonly ReportAnswer[]> {
    const { statuses: seen } = ReportRequest.decode(
      ReportRequest.encode({ hostId: "h", journalId: "j", statuses: [...statuses] }).finish(),
    );
    this.reports.push(seen);
    this.#look();
    return seen.map((status) => {
      const answer = this.answer(status);
      if (!answer) throw new Error("no answer");
      return answer;
    });
  }

  /** Resolves once it is so, looking at each message. */
  until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ isSo, resolve });
      this.#look();
    });
  }

  of(taskId: string): RunStatus[] {
    return this.reports.flat().filter((status) => status.run?.taskId === taskId);
  }

  last(taskId: string): RunStatus | undefined {
    return this.of(taskId).at(-1);
  }

  #look(): void {
    this.#waiting = this.#waiting.filter(({ isSo, resolve }) => {
      if (!isSo()) return true;
      resolve();
      return false;
    });
  }
}

const stops: AbortController[] = [];
afterEach(() => stops.splice(0).forEach((stop) => stop.abort(new Error("test over"))));

interface Host {
  readonly agent: Agent;
  readonly control: Control;
  /** Ends the agent, as its machine goes on. */
  readonly end: () => Promise<void>;
}

type Parts = {
  journal?: ReturnType<typeof memoryJournal>;
  driver?: ReturnType<typeof simDriver>;
  control?: Control;
  bootId?: string;
  onRefused?: (code: string) => void;
};

async function startHost({
  journal = memoryJournal(),
  driver = simDriver({ capacity }),
  control = new Control(),
  bootId = "boot-1",
  onRefused = () => {},
}: Parts = {}): Promise<Host> {
  const agent = new Agent({
    hostId: "h",
    version: "test",
    driver,
    files: simFiles,
    deliver: (events) => events,
    journal,
    control,
    clock: { bootId, now: () => ({ at: new Date(), elapsedMs: performance.now() }) },
    random: () => 0.5,
    logger: silentLogger,
    defaultImage: "",
    onEnd: () => {},
    onRefused,
  });
  const stop = new AbortController();
  stops.push(stop);
  const ready = Promise.withResolvers<void>();
  const running = agent.run(stop.signal, ready.resolve);
  await Promise.race([ready.promise, running]);
  return { agent, control, end: async () => (stop.abort(new Error("ended")), running) };
}

type Wish = {
  id: string;
  command: string[];
  attempt?: number;
  cpuMilli?: number;
  timeLimitMs?: number;
  graceMs?: number;
  leaseMs?: number;
};

/** As it comes from the wire. */
function assign(journalId: string, tasks: Wish[], term = 1): AssignRequest {
  const message = AssignRequest.fromPartial({
    term,
    specs: tasks.map(({ command, cpuMilli = 1000, timeLimitMs = 0, graceMs = 50, leaseMs = 0 }) =>
      RunSpec.fromPartial({
        spec: {
          command,
          resources: { cpuMilli, memoryBytes: 1 },
          timeLimitMs,
          graceMs,
          ...(leaseMs > 0 ? { onHostLost: OnHostLost.RETRY, hostLeaseMs: leaseMs } : {}),
        },
        identity: { user: "ann", uid: 1, gid: 1 },
      }),
    ),
    assignments: tasks.map(({ id, attempt = 1 }, specIndex) => ({
      run: { epoch, taskId: id, attempt },
      specIndex,
      journalId,
    })),
  });
  return AssignRequest.decode(AssignRequest.encode(message).finish());
}

describe("Agent", () => {
  it("runs what it is given and reports each end once, with one write for a short one", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    await agent.onAssign(
      assign(journal.id, [
        { id: "1", command: ["sim"] },
        { id: "2", command: ["sim", "exit", "3"] },
        { id: "3", command: ["sim", "signal", "11"] },
      ]),
    );
    await control.until(() => ["1", "2", "3"].every((id) => control.of(id).length > 0));
    expect(control.of("1")).toMatchObject([{ phase: RunPhase.ENDED, outcome: Outcome.SUCCEEDED, exitCode: 0 }]);
    expect(control.of("2")).toMatchObject([{ outcome: Outcome.FAILED, exitCode: 3, reason: { code: "EXIT_CODE" } }]);
    expect(control.of("3")).toMatchObject([{ outcome: Outcome.FAILED, signal: 11, reason: { code: "SIGNAL" } }]);
  });

  it("does not start a run again: not while it runs, not after it was settled", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    const once = assign(journal.id, [{ id: "1", command: ["sim"] }]);
    await agent.onAssign(once);
    await agent.onAssign(once);
    await control.until(() => control.of("1").length === 1);
    await agent.onAssign(once);
    await agent.onAssign(assign(journal.id, [{ id: "2", command: ["sim"] }]));
    await control.until(() => control.of("2").length === 1);
    expect(control.of("1")).toHaveLength(1);
  });

  it("refuses with a reason: an older term, another journal, more than is free", async () => {
    const journal = memoryJournal();
    const refused: string[] = [];
    const { agent, control } = await startHost({ journal, onRefused: (code) => refused.push(code) });
    await agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "10s"], cpuMilli: 3000 }], 7));
    await agent.onAssign(assign(journal.id, [{ id: "2", command: ["sim"] }], 6));
    await agent.onAssign(assign("other", [{ id: "3", command: ["sim"] }], 7));
    await agent.onAssign(assign(journal.id, [{ id: "4", command: ["sim"], cpuMilli: 1001 }], 7));
    await control.until(() => ["2", "3", "4"].every((id) => control.of(id).length > 0));
    const reasons = ["2", "3", "4"].map((id) => [control.last(id)?.phase, control.last(id)?.reason?.code]);
    expect(reasons).toEqual([
      [RunPhase.REFUSED, "STALE_TERM"],
      [RunPhase.REFUSED, "OTHER_JOURNAL"],
      [RunPhase.REFUSED, "OVER_CAPACITY"],
    ]);
    expect(refused).toEqual(["STALE_TERM", "OTHER_JOURNAL"]); // the third waited for room
  });

  it("sends a report again until it is answered", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    const answers = [undefined, ReportAnswer.LATER, ReportAnswer.COMMITTED];
    control.answer = () => answers.shift();
    await agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim"] }]));
    await control.until(() => control.of("1").length === 3);
    expect(answers).toEqual([]);
  });

  it("stops a run only when told to, with TERM, then KILL after its grace", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    await agent.onAssign(
      assign(journal.id, [
        { id: "1", command: ["sim", "10s", "ignore-term"] },
        { id: "2", command: ["sim", "10s"] },
      ]),
    );
    control.reply = () => ({ verdicts: [] });
    agent.wake();
    await control.until(() => control.syncs.length === 2);
    control.reply = () => ({
      verdicts: [{ run: { epoch, taskId: "1", attempt: 1 }, verdict: Verdict.STOP, reason: "KILLED", by: "ann" }],
    });
    agent.wake();
    await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
    expect(control.last("1")).toMatchObject({
      outcome: Outcome.KILLED,
      signal: 9,
      reason: { code: "KILLED_BY_USER", message: "killed by ann" },
    });
    expect(agent.liveRuns).toBe(1);
  });

  it("ends a run at its time limit", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    await agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "10s"], timeLimitMs: 60 }]));
    await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
    expect(control.last("1")).toMatchObject({ outcome: Outcome.TIMED_OUT, signal: 15, reason: { code: "TIME_LIMIT" } });
  });

  it("suspends and resumes", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    await agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "100ms"] }]));
    const say = (verdict: Verdict) => {
      control.reply = () => ({ verdicts: [{ run: { epoch, taskId: "1", attempt: 1 }, verdict, reason: "", by: "" }] });
      agent.wake();
    };
    say(Verdict.SUSPEND);
    await control.until(() => control.last("1")?.phase === RunPhase.SUSPENDED);
    say(Verdict.RESUME);
    await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
    expect(control.last("1")?.outcome).toBe(Outcome.SUCCEEDED);
  });

  it("tells of a stop for a run that it never had, as never started", async () => {
    const { agent, control } = await startHost();
    control.reply = () => ({
      verdicts: [{ run: { epoch, taskId: "9", attempt: 2 }, verdict: Verdict.STOP, reason: "KILLED", by: "ann" }],
    });
    agent.wake();
    await control.until(() => control.of("9").length === 1);
    expect(control.last("9")).toMatchObject({ phase: RunPhase.REFUSED, reason: { code: "NEVER_STARTED" } });
  });

  it("takes what it missed from a sync", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    control.reply = () => ({ missing: assign(journal.id, [{ id: "5", command: ["sim", "exit", "5"] }]) });
    agent.wake();
    await control.until(() => control.of("5").length === 1);
    expect(control.last("5")).toMatchObject({ exitCode: 5 });
  });

  it("lets a run that the database does not know run on, and keeps its end until it does", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    await agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "150ms"] }]));
    const verdict = (word: Verdict) => () => ({
      verdicts: [{ run: { epoch, taskId: "1", attempt: 1 }, verdict: word, reason: "", by: "" }],
    });
    control.answer = () => ReportAnswer.UNKNOWN;
    control.reply = verdict(Verdict.UNKNOWN);
    agent.wake();
    await control.until(() => control.syncs.length === 2);
    agent.wake();
    await control.until(() => control.syncs.at(-1)?.host?.unknownRuns.length === 1);
    expect(control.syncs.at(-1)?.host?.used).toMatchObject({ cpuMilli: 1000 });
    await control.until(() => control.of("1").length === 1);
    control.answer = () => ReportAnswer.COMMITTED;
    control.reply = verdict(Verdict.STOP);
    control.reply = () => ({
      verdicts: [{ run: { epoch, taskId: "1", attempt: 1 }, verdict: Verdict.STOP, reason: "OVER", by: "" }],
    });
    agent.wake();
    await control.until(() => control.of("1").length === 2);
    expect(control.last("1")).toMatchObject({ outcome: Outcome.SUCCEEDED });
  });

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

  it("lets nothing go on that has a lease of which only the lost journal knew, until it hears that it may", async () => {
    const driver = simDriver({ capacity });
    const journal = memoryJournal();
    const first = await startHost({ journal, driver });
    await first.agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "100ms"] }]));
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
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(control.of("1").some(({ phase }) => phase === RunPhase.ENDED)).toBe(false);
    control.reply = ({ statuses }) => ({
      verdicts: statuses.map(({ run }) => ({ run, verdict: Verdict.UNKNOWN, reason: "", by: "" })),
    });
    second.agent.wake();
    await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
    expect(control.last("1")).toMatchObject({ exitCode: 0 });
  });

  describe("leases", () => {
    const wanted = ({ statuses }: SyncRequest): Partial<SyncReply> => ({
      verdicts: statuses.map(({ run }) => ({ run, verdict: Verdict.RUN, reason: "", by: "" })),
    });
    /** A driver that tells what is suspended. */
    function watched() {
      const driver = simDriver({ capacity });
      const said: string[] = [];
      return {
        said,
        driver: {
          ...driver,
          suspendTask: async (run: Run) => (said.push(`stop ${run.taskId}`), driver.suspendTask(run)),
          resumeTask: async (run: Run) => (said.push(`go ${run.taskId}`), driver.resumeTask(run)),
        },
      };
    }
    const long = ["sim", "60s"];

    it("asks often enough, freezes a run when nobody answers, and lets it go on with the next answer", async () => {
      const { driver, said } = watched();
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
      const { driver, said } = watched();
      const journal = memoryJournal();
      const first = await startHost({ driver, journal });
      first.control.reply = wanted;
      await first.control.until(() => first.control.syncs.length > 0);
      await first.agent.onAssign(
        assign(journal.id, [{ id: "1", command: ["sim", "60s", "ignore-term"], leaseMs: 300 }]),
      );
      await first.control.until(() => first.control.last("1")?.phase === RunPhase.RUNNING);
      await first.end();
      expect(said).toEqual([]);
      await new Promise((resolve) => setTimeout(resolve, 320));
      const control = new Control();
      let mayAnswer = false;
      control.reply = ({ statuses }) => {
        if (!mayAnswer) throw new Error("cut off");
        return { verdicts: statuses.map(({ run }) => ({ run, verdict: Verdict.STOP, reason: "SUPERSEDED", by: "" })) };
      };
      await startHost({ driver, journal, control });
      await eventually(() => said.length > 0);
      expect(new Set(said)).toEqual(new Set(["stop 1"]));
      mayAnswer = true;
      await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
      expect(control.last("1")).toMatchObject({ signal: 9 });
    });

    it("freezes a run as soon as it has begun whose lease passed while it was being started", async () => {
      const { driver, said } = watched();
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
      let mayAnswer = false;
      control.reply = (request) => {
        if (!mayAnswer) throw new Error("cut off");
        return wanted(request);
      };
      const { agent } = await startHost({ journal, control });
      await agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "0"], leaseMs: 60_000 }]));
      await eventually(() => control.syncs.some(({ statuses }) => statuses.length > 0));
      expect(control.of("1")).toEqual([]);
      mayAnswer = true;
      await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
    });
  });
});

async function eventually(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
