import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HeldRun, Phase } from "../../domain/held-run.ts";
import { adopted } from "../../domain/transitions.ts";
import { sqliteJournal } from "./sqlite-journal.ts";

const aRun = (n: number, phase: Phase = { kind: "accepted" }): HeldRun => ({
  ...adopted(`e/${n}/1`, { epoch: "e", taskId: String(n), attempt: 1 }),
  phase,
});

const flushed = (journal: ReturnType<typeof sqliteJournal>): Promise<void> =>
  new Promise((resolve, reject) => journal.flush((error) => (error ? reject(error as Error) : resolve())));

describe("sqliteJournal", () => {
  let dir: string;
  let nowMs: number;
  const open = () => sqliteJournal(join(dir, "journal.db"), () => new Date(nowMs));
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "berth-journal-"));
    nowMs = 1_000_000;
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it("has what was written, every phase of it, when it is opened again", async () => {
    const at = new Date(5_000);
    const phases: Phase[] = [
      { kind: "accepted" },
      { kind: "running", startedAt: at, startedElapsedMs: 77.5 },
      { kind: "suspended", startedAt: at, startedElapsedMs: 1 },
      { kind: "refused", reason: { code: "X", message: "y" }, refusedAt: at },
      {
        kind: "ended",
        end: {
          outcome: "failed",
          reason: { code: "EXIT_CODE", message: "exit code 3" },
          startedAt: undefined,
          endedAt: at,
          exitCode: 3,
          signal: undefined,
          cpuMs: 1,
          peakMemoryBytes: undefined,
          stdoutBytes: 1,
          stderrBytes: undefined,
        },
      },
    ];
    const runs = phases.map((phase, n) => aRun(n, phase));
    const first = open();
    first.write({
      runs,
      specs: [{ id: 4, bytes: new Uint8Array([1, 2, 3]) }],
      terms: new Map([["e", 7]]),
      bootId: "boot",
    });
    await flushed(first);
    const { id } = first;
    first.close();
    const second = open();
    const content = second.load();
    expect(second.id).toBe(id);
    expect(content.runs).toEqual(runs);
    expect(content).toMatchObject({ terms: new Map([["e", 7]]), bootId: "boot" });
    expect([...(content.specs.get(4) ?? [])]).toEqual([1, 2, 3]);
    second.close();
  });

  it("keeps a run that the driver has as an accepted one: the driver knows whether it began", () => {
    const journal = open();
    journal.write({ runs: [aRun(1, { kind: "starting", detail: "pulling" })] });
    expect(journal.load().runs).toMatchObject([{ phase: { kind: "accepted" } }]);
    journal.close();
  });

  it("remembers the key of what is settled for as long as it is told to, and nothing else of it", () => {
    const journal = open();
    journal.write({ runs: [aRun(1), aRun(2)], specs: [{ id: 1, bytes: new Uint8Array() }] });
    journal.logPositions.set("e/1/1", "here");
    journal.write({ settled: ["e/1/1"], droppedSpecs: [1] });
    expect(journal.load().runs.map(({ key }) => key)).toEqual(["e/2/1"]);
    expect(journal.load().specs.size).toBe(0);
    expect(journal.logPositions.get("e/1/1")).toBeUndefined();
    expect(journal.remembers("e/1/1")).toBe(true);
    expect(journal.remembers("e/2/1")).toBe(false);
    journal.forget(new Date(nowMs));
    expect(journal.remembers("e/1/1")).toBe(true);
    nowMs += 1;
    journal.forget(new Date(nowMs));
    expect(journal.remembers("e/1/1")).toBe(false);
    journal.close();
  });

  it("keeps a driver's position in its engine's output", () => {
    const first = open();
    first.logPositions.set("e/1/1", "a");
    first.logPositions.set("e/1/1", "b");
    first.close();
    const second = open();
    expect(second.logPositions.get("e/1/1")).toBe("b");
    second.close();
  });
});
