import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { Driver, TaskToRun } from "@berth/plugins";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DriverWatch } from "./driver-watch.ts";

/** One driver under test, with what it runs on. */
export interface DriverUnderTest {
  /** The driver, not yet open. A second one of the same harness finds what the first left, as after the agent's death. */
  make(): Driver | Promise<Driver>;
  /** A task with everything that this driver needs: directories, image, identity. */
  task(run: Run, command: readonly string[], more?: Partial<TaskToRun>): TaskToRun | Promise<TaskToRun>;
  /** What a run wrote to its standard output, once it has ended; undefined where the driver has no output. */
  output?(run: Run): Promise<string>;
  close(): Promise<void>;
}

/** How a test says to this driver what the task does. */
export interface Commands {
  readonly succeed: readonly string[];
  exit(code: number): readonly string[];
  sleep(ms: number): readonly string[];
  signalItself(signal: number): readonly string[];
  /** Sleeps, and does not mind TERM. */
  ignoreTerm(ms: number): readonly string[];
  /** Prints; undefined where the driver has no output. */
  readonly print?: (text: string) => readonly string[];
  readonly notFound?: readonly string[];
}

const epoch = "01930000-0000-7000-8000-0000c0ffee00";
let lastTask = Math.floor(Math.random() * 1_000_000) * 1000;
const newRun = (): Run => ({ epoch, taskId: String((lastTask += 1)), attempt: 1 });

/** What every driver keeps. */
export function describeDriver(name: string, start: () => Promise<DriverUnderTest>, commands: Commands): void {
  describe(`Driver ${name}`, () => {
    let its: DriverUnderTest;
    let driver: Driver;
    let watch: DriverWatch;
    const used: Run[] = [];
    const never = new AbortController().signal;

    const open = async (): Promise<void> => {
      driver = await its.make();
      await driver.open(never);
      watch = new DriverWatch(driver);
    };
    const close = async (): Promise<void> => {
      await watch.stop();
      await driver.close();
    };
    const run = async (command: readonly string[], more?: Partial<TaskToRun>): Promise<Run> => {
      const made = newRun();
      used.push(made);
      await driver.runTasks([await its.task(made, command, more)]);
      return made;
    };

    beforeAll(async () => void (its = await start()), 120_000);
    afterAll(() => its?.close(), 60_000);
    beforeEach(open);
    afterEach(async () => {
      for (const one of used) await driver.killTask(one, "KILL");
      for (const one of used)
        if (watch.of(one).some(({ kind }) => kind === "started")) await watch.until(one, "ended", "lost", "failed");
      await driver.settle(used.splice(0));
      await close();
    });

    it("says its name, what holds here and how much there is", () => {
      expect(driver.getName()).toMatch(/^[a-z]+$/);
      expect(driver.features().size).toBeGreaterThan(0);
      expect(driver.capacity().cpuMilli).toBeGreaterThan(0);
      expect(driver.capacity().memoryBytes).toBeGreaterThan(0);
    });

    it("finds nothing where nothing is, at once", async () => {
      expect(await watch.first).toEqual([]);
    });

    it("tells the start and the end of a run, with its times", async () => {
      const before = Date.now();
      const one = await run(commands.succeed);
      const ended = await watch.until(one, "ended");
      expect(ended).toMatchObject({ exitCode: 0, signal: undefined, outOfMemory: false });
      const kinds = watch
        .of(one)
        .map(({ kind }) => kind)
        .filter((kind) => kind !== "preparing");
      expect(kinds).toEqual(["started", "ended"]);
      // The engine's clock may be read a little apart from ours.
      expect(ended.startedAt!.getTime()).toBeGreaterThanOrEqual(before - 50);
      expect(ended.at.getTime()).toBeGreaterThanOrEqual(ended.startedAt!.getTime());
    });

    it("tells an exit code", async () => {
      expect(await watch.until(await run(commands.exit(7)), "ended")).toMatchObject({ exitCode: 7, signal: undefined });
    });

    it("tells a signal, or the exit code that stands for it", async () => {
      const { exitCode, signal } = await watch.until(await run(commands.signalItself(9)), "ended");
      expect(signal === 9 || exitCode === 137).toBe(true);
    });

    it("starts a run once, however often it is told to", async () => {
      const one = newRun();
      used.push(one);
      const task = await its.task(one, commands.sleep(300));
      await Promise.all([driver.runTasks([task]), driver.runTasks([task, task])]);
      await watch.until(one, "started");
      await driver.runTasks([task]);
      await watch.until(one, "ended");
      await driver.runTasks([task]);
      const other = await run(commands.succeed);
      await watch.until(other, "ended");
      expect(watch.of(one).filter(({ kind }) => kind === "started")).toHaveLength(1);
      expect(watch.of(one).filter(({ kind }) => kind === "ended")).toHaveLength(1);
    });

    it("runs many beside each other", async () => {
      const many = await Promise.all(Array.from({ length: 6 }, (_, n) => run(commands.exit(n))));
      const codes = await Promise.all(many.map(async (one) => (await watch.until(one, "ended")).exitCode));
      expect(codes).toEqual([0, 1, 2, 3, 4, 5]);
    });

    it("ends a run by TERM, and by KILL one that does not mind TERM", async () => {
      const polite = await run(commands.sleep(60_000));
      const stubborn = await run(commands.ignoreTerm(60_000));
      await Promise.all([watch.until(polite, "started"), watch.until(stubborn, "started")]);
      // A shell needs a moment to say what it does not mind.
      await new Promise((resolve) => setTimeout(resolve, 300));
      await driver.killTask(polite, "TERM");
      await driver.killTask(stubborn, "TERM");
      expect(await watch.until(polite, "ended")).toSatisfy(
        (e: { exitCode?: number; signal?: number }) => e.signal === 15 || e.exitCode === 143,
      );
      expect(watch.of(stubborn).some(({ kind }) => kind === "ended")).toBe(false);
      await driver.killTask(stubborn, "KILL");
      expect(await watch.until(stubborn, "ended")).toSatisfy(
        (e: { exitCode?: number; signal?: number }) => e.signal === 9 || e.exitCode === 137,
      );
    });

    it("does not mind being told to end what is gone or never was", async () => {
      const one = await run(commands.succeed);
      await watch.until(one, "ended");
      await driver.killTask(one, "TERM");
      await driver.killTask(one, "KILL");
      await driver.killTask(newRun(), "KILL");
    });

    it("suspends and resumes; TERM ends a suspended one", async () => {
      if (!driver.features().has("suspend")) return;
      const [first, second] = [await run(commands.sleep(400)), await run(commands.sleep(60_000))];
      await Promise.all([watch.until(first, "started"), watch.until(second, "started")]);
      await driver.suspendTask(first);
      await driver.suspendTask(second);
      await driver.suspendTask(second);
      await new Promise((resolve) => setTimeout(resolve, 700));
      expect(watch.of(first).some(({ kind }) => kind === "ended")).toBe(false);
      await driver.resumeTask(first);
      expect(await watch.until(first, "ended")).toMatchObject({ exitCode: 0 });
      await driver.killTask(second, "TERM");
      expect(await watch.until(second, "ended")).toSatisfy(
        (e: { exitCode?: number; signal?: number }) => e.signal === 15 || e.exitCode === 143,
      );
    });

    it("finds after its own end what runs, and what ended meanwhile", async () => {
      const [long, short] = [await run(commands.sleep(1500)), await run(commands.exit(3))];
      await watch.until(long, "started");
      await watch.until(short, "started");
      await close();
      await open();
      const found = await watch.first;
      expect(found.every(({ kind }) => kind === "found")).toBe(true);
      expect(found.map((event) => event.run.taskId).toSorted()).toEqual([long.taskId, short.taskId].toSorted());
      expect(await watch.until(short, "ended")).toMatchObject({ exitCode: 3 });
      expect(await watch.until(long, "ended")).toMatchObject({ exitCode: 0 });
      expect(watch.of(long).filter(({ kind }) => kind === "ended")).toHaveLength(1);
    });

    it("does not start again, after its own end, what was started before", async () => {
      const one = newRun();
      used.push(one);
      const task = await its.task(one, commands.exit(4));
      await driver.runTasks([task]);
      await watch.until(one, "ended");
      await close();
      await open();
      await driver.runTasks([task]);
      expect(await watch.until(one, "ended")).toMatchObject({ exitCode: 4 });
      expect(watch.of(one).filter(({ kind }) => kind === "started")).toHaveLength(0);
    });

    it("forgets what is settled", async () => {
      const one = await run(commands.succeed);
      await watch.until(one, "ended");
      await driver.settle([one]);
      await close();
      await open();
      expect((await watch.first).map(({ run: { taskId } }) => taskId)).not.toContain(one.taskId);
    });

    it("starts all of a group, or says that it could not", async () => {
      const group = [newRun(), newRun()];
      used.push(...group);
      const tasks: TaskToRun[] = [];
      for (const one of group) tasks.push(await its.task(one, commands.sleep(60_000)));
      await driver.runAllTasks(tasks);
      for (const one of group)
        expect(
          watch.of(one).some(({ kind }) => kind === "started") || (await watch.until(one, "started")),
        ).toBeTruthy();
    });

    it("starts the runs of a lane one after the other, by itself", async () => {
      if (!driver.features().has("lanes")) return;
      const first = await run(commands.sleep(200));
      const lane = runKey(first);
      const behind = [newRun(), newRun(), newRun()];
      used.push(...behind);
      const tasks: TaskToRun[] = [];
      for (const one of behind) tasks.push(await its.task(one, commands.sleep(50), { lane }));
      await driver.runTasks(tasks.slice(0, 2));
      await driver.runTasks(tasks.slice(2));
      const ends = [];
      for (const one of [first, ...behind]) ends.push(await watch.until(one, "ended"));
      for (const [i, end] of ends.slice(1).entries())
        expect(end.startedAt!.getTime()).toBeGreaterThanOrEqual(ends[i]!.at.getTime() - 1);
      // The lane is empty, and continues as one whose first run ended long ago.
      const late = await run(commands.succeed, { lane });
      await watch.until(late, "ended");
    });

    it("takes back, or ends, what waits in a lane and has not begun; the others have their turn", async () => {
      if (!driver.features().has("lanes")) return;
      const first = await run(commands.sleep(60_000));
      const lane = runKey(first);
      await watch.until(first, "started");
      const [back, killed, last] = [
        await run(commands.succeed, { lane }),
        await run(commands.succeed, { lane }),
        await run(commands.exit(5), { lane }),
      ];
      await driver.takeBack([first, back]);
      expect(await watch.until(back, "unable")).toMatchObject({ reason: { code: "OVER_CAPACITY" } });
      await driver.killTask(killed, "TERM");
      expect(await watch.until(killed, "unable")).toMatchObject({ reason: { code: "STOPPED_BEFORE_START" } });
      expect(watch.of(last)).toEqual([]);
      await driver.killTask(first, "TERM");
      expect(await watch.until(last, "ended")).toMatchObject({ exitCode: 5 });
      expect(watch.of(first).filter(({ kind }) => kind === "ended")).toHaveLength(1);
    });

    it("finds after its own end what waits in a lane, and it has its turn meanwhile", async () => {
      if (!driver.features().has("lanes")) return;
      const first = await run(commands.sleep(600));
      const behind = await run(commands.exit(6), { lane: runKey(first) });
      await watch.until(first, "started");
      await close();
      await open();
      expect((await watch.first).map((event) => event.run.taskId).toSorted()).toEqual(
        [first.taskId, behind.taskId].toSorted(),
      );
      expect(await watch.until(behind, "ended")).toMatchObject({ exitCode: 6 });
    });

    const { print, notFound } = commands;
    if (print) {
      it("keeps output, and counts it", async () => {
        const one = await run(print("one\ntwo\nthree"));
        const ended = await watch.until(one, "ended");
        const text = await its.output?.(one);
        expect(text).toBe("one\ntwo\nthree");
        expect(ended.stdoutBytes).toBe(13);
        expect(ended.stderrBytes).toBe(0);
      });
    }
    if (notFound) {
      it("says that a command is not there, as a fault of the task", async () => {
        expect(await watch.until(await run(notFound), "failed")).toMatchObject({
          reason: { code: "COMMAND_NOT_FOUND" },
        });
      });
    }
  });
}
