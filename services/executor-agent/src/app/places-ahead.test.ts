import { AppError } from "@berth/core";
import type { Run } from "@berth/core";
import { afterEach, describe, expect, it } from "vitest";
import { memoryJournal } from "../adapters/memory/memory-journal.ts";
import { simDriver } from "../adapters/sim/sim-driver.ts";
import { simFiles } from "../adapters/sim/sim-files.ts";
import { assign, capacity, endHosts, startHost } from "../testing/agent-host.ts";
import { PlacesAhead } from "./places-ahead.ts";

afterEach(endHosts);

const owner = { uid: 20_000, gid: 20_000 };
const run = (taskId: string): Run => ({ taskId, attempt: 1, epoch: "e" });

describe("PlacesAhead", () => {
  it("makes a place once, and again where it could not, or was not asked to", () => {
    const made: string[] = [];
    let full = true;
    const places = new PlacesAhead({
      prepare({ taskId }, who) {
        if (full && taskId === "2") throw new AppError("unavailable", "TASK_DIR_FAILED", "no room");
        made.push(taskId);
        return simFiles.prepare(run(taskId), who);
      },
    });
    places.make([
      { run: run("1"), owner },
      { run: run("2"), owner },
    ]);
    expect(() => places.prepare(run("2"), owner)).toThrow("no room");
    full = false;
    for (const taskId of ["1", "2", "3"])
      expect(places.prepare(run(taskId), owner)).toEqual(simFiles.prepare(run(taskId), owner));
    expect(made).toEqual(["1", "2", "3"]);
  });

  it("are there before the journal is on disk, and nothing is started before that", async () => {
    const happened: string[] = [];
    const flushes: (() => void)[] = [];
    const journal = memoryJournal();
    const slow = { ...journal, flush: (done: () => void) => void flushes.push(done) };
    const driver = simDriver({ capacity });
    const { agent } = await startHost({
      journal: slow,
      driver: { ...driver, runTasks: (tasks) => (happened.push("started"), driver.runTasks(tasks)) },
      files: { ...simFiles, prepare: (of, who) => (happened.push("made"), simFiles.prepare(of, who)) },
    });
    while (flushes.length > 0) flushes.shift()!();
    const assigned = agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim"] }]));
    expect(happened).toEqual(["made"]);
    await new Promise(setImmediate);
    expect(happened).toEqual(["made"]);
    while (flushes.length > 0) flushes.shift()!();
    await assigned;
    expect(happened).toEqual(["made", "started"]);
  });
});
