import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HostModel, journalId } from "../testing/host-model.ts";
import { keyOf, runs } from "../testing/held-runs.ts";
import { isLive } from "./held-run.ts";
import { onAnswer } from "./transitions.ts";
import type { Verdict } from "./transitions.ts";

type Op = (world: HostModel) => void;
const aRun = fc.constantFrom(...runs);
const ops: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({ run: aRun, term: fc.constantFrom(4, 5, 5, 6), journal: fc.constantFrom(journalId, journalId, "other") })
      .map(
        ({ run, term, journal }): Op =>
          (w) =>
            w.assign(run, term, journal),
      ),
  },
  {
    weight: 3,
    arbitrary: aRun.map(
      (run): Op =>
        (w) =>
          w.assign(run, 6, journalId),
    ),
  },
  {
    weight: 4,
    arbitrary: fc
      .record({
        run: aRun,
        word: fc.constantFrom<Verdict>(
          { kind: "run" },
          { kind: "unknown" },
          { kind: "suspend" },
          { kind: "resume" },
          { kind: "stop", cause: "killed", by: "ann" },
          { kind: "stop", cause: "superseded", by: "" },
          { kind: "stop", cause: "over", by: "" },
        ),
        askedAgoMs: fc.constantFrom(0, 0, 0, 3_000, 5_000),
      })
      .map(
        ({ run, word, askedAgoMs }): Op =>
          (w) =>
            w.word(run, word, askedAgoMs),
      ),
  },
  { weight: 4, arbitrary: fc.constant<Op>((w) => w.deliver()) },
  {
    weight: 3,
    arbitrary: aRun.map((run): Op => (w) => {
      const box = w.boxes.get(keyOf(run));
      if (box && box.state === "running") w.endBox(box);
    }),
  },
  {
    weight: 3,
    arbitrary: fc.integer({ min: 1, max: 3_000 }).map(
      (ms): Op =>
        (w) =>
          w.pass(ms),
    ),
  },
  { weight: 2, arbitrary: fc.constant<Op>((w) => w.restart()) },
  { weight: 1, arbitrary: fc.constant<Op>((w) => w.reboot()) },
  {
    weight: 3,
    arbitrary: fc
      .record({ run: aRun, answer: fc.constantFrom("committed" as const, "superseded" as const, "unknown" as const) })
      .map(({ run, answer }): Op => (w) => {
        const held = w.held.get(keyOf(run));
        if (!held) return;
        w.put(onAnswer(held, answer));
        w.settleDown([held.key]);
      }),
  },
);

describe("a host's steps", () => {
  it("keeps its invariants through 10,000 generated lives of a host", { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.array(ops, { maxLength: 40 }), (steps) => {
        const world = new HostModel();
        for (const step of steps) {
          step(world);
          world.checkInvariants();
        }
        // Left alone, with every report answered, nothing that was told to stop stays.
        for (const run of runs) if (world.held.has(keyOf(run))) world.word(run, { kind: "run" });
        world.deliver();
        for (let n = 0; n < 8; n += 1) {
          world.pass(6_000);
          world.deliver();
        }
        for (const held of world.held.values()) {
          expect(isLive(held), `${held.key} ends`).toBe(false);
          world.put(onAnswer(held, "committed"));
        }
        world.settleDown();
        expect(world.held.size).toBe(0);
        world.checkInvariants();
      }),
      { numRuns: 10_000 },
    );
  });
});
