import { silentLogger } from "@berth/runtime";
import { describe, expect, it } from "vitest";
import { memoryJournal } from "../adapters/memory/memory-journal.ts";
import type { HeldRun } from "../domain/held-run.ts";
import { adopted } from "../domain/transitions.ts";
import type { Journal } from "../ports/journal.ts";
import { RunTable } from "./run-table.ts";

const aRun = (n: number): HeldRun => adopted(`e/${n}/1`, { epoch: "e", taskId: String(n), attempt: 1 });

/** A journal whose disk is as slow as the test wants. */
class SlowJournal {
  readonly inner = memoryJournal();
  readonly flushes: ((error?: unknown) => void)[] = [];
  failing = false;
  writes = 0;

  journal(): Journal {
    return {
      ...this.inner,
      write: (changes) => {
        if (this.failing) throw new Error("disk full");
        this.writes += 1;
        this.inner.write(changes);
      },
      flush: (done) => void this.flushes.push(done),
    };
  }

  /** Ends the flush that is under way. */
  end(error?: unknown): void {
    const done = this.flushes.shift();
    if (!done) throw new Error("nothing is being flushed");
    done(error);
  }
}

function setUp() {
  const slow = new SlowJournal();
  const acted: string[] = [];
  const table = new RunTable(slow.journal(), silentLogger, (keys) => acted.push(...keys));
  return { slow, acted, table };
}

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2));
};

describe("RunTable", () => {
  it("acts upon a change once it is on disk, not before, and not because somebody else asks", async () => {
    const { slow, acted, table } = setUp();
    table.add([aRun(1)], []);
    const saved = table.saved();
    table.actNow(["e/1/1"]);
    expect(acted).toEqual([]);
    slow.end();
    expect(acted).toEqual(["e/1/1"]);
    await saved;
  });

  it("writes all that changed during a flush in one go after it", () => {
    const { slow, acted, table } = setUp();
    for (let n = 1; n <= 5; n += 1) table.add([aRun(n)], []);
    expect(slow.writes).toBe(1);
    slow.end();
    expect(slow.writes).toBe(2);
    slow.end();
    expect(acted).toEqual(["e/1/1", "e/2/1", "e/3/1", "e/4/1", "e/5/1"]);
  });

  it("does not forget a change whose time came during a flush", async () => {
    const { slow, table } = setUp();
    table.add([aRun(1)], []);
    table.change({ ...aRun(2), wish: "suspend" }, "soon");
    await new Promise((resolve) => setTimeout(resolve, 300));
    slow.end();
    await until(() => slow.flushes.length > 0);
    expect(slow.inner.load().runs).toHaveLength(2);
  });

  it("writes at a distance while there are many runs, and none is left waiting", async () => {
    const { slow, acted, table } = setUp();
    for (let n = 1; n <= 40; n += 1) {
      table.add([aRun(n)], []);
      if (slow.flushes.length > 0) slow.end();
    }
    await until(() => slow.flushes.length > 0 || acted.length === 40);
    while (slow.flushes.length > 0) slow.end();
    expect(acted).toHaveLength(40);
    expect(slow.writes).toBeLessThan(25);
  });

  it("says that it could not write, does nothing, and does it later", async () => {
    const { slow, acted, table } = setUp();
    slow.failing = true;
    table.add([aRun(1)], []);
    await expect(table.saved()).rejects.toThrow("disk full");
    expect(acted).toEqual([]);
    slow.failing = false;
    await until(() => slow.flushes.length > 0);
    slow.end(new Error("cannot sync"));
    expect(acted).toEqual([]);
    await until(() => slow.flushes.length > 0);
    slow.end();
    expect(acted).toEqual(["e/1/1"]);
  });
});
