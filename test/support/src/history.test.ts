import { describe, expect, it } from "vitest";
import { faultsOf } from "./history.ts";
import type { History, Stored, Observation, View, LedgerLine } from "./history.ts";

const submit = (
  requestId: string,
  taskId: string | undefined,
  more: Partial<Observation & { kind: "submit" }> = {},
): Observation => ({
  kind: "submit",
  toldAt: 1,
  requestId,
  spec: "s",
  taskId,
  refusal: taskId === undefined ? "CLIENT_KEY_CONFLICT" : undefined,
  ...more,
});
const over: View = { state: "over", attempt: 1, outcome: "succeeded" };
const read = (taskId: string, askedAt: number, view: View): Observation => ({
  kind: "read",
  askedAt,
  toldAt: askedAt + 1,
  taskId,
  view,
});
const event = (watch: string, taskId: string, view: View = over): Observation => ({
  kind: "event",
  watch,
  toldAt: 5,
  taskId,
  view,
});
const task = (taskId: string, more: Partial<Stored> = {}): Stored => ({ taskId, ...over, exitCode: 0, ...more });
const ran = (taskId: string, attempt: number, from: number, to?: number): LedgerLine[] => [
  { taskId, attempt, mark: "start", at: from },
  ...(to === undefined ? [] : [{ taskId, attempt, mark: "end" as const, at: to }]),
];

/** Two tasks that were submitted, watched and ran as they should. */
const good: History = {
  told: [
    submit("a", "1"),
    submit("b", "2"),
    submit("a", "1"),
    submit("a", undefined, { spec: "other" }),
    event("w", "1"),
    event("w", "2", { ...over, attempt: 2 }),
    read("1", 2, { state: "running", attempt: 1, outcome: undefined }),
    read("1", 6, over),
  ],
  wrote: [...ran("1", 1, 100, 200), ...ran("2", 1, 100), ...ran("2", 2, 210, 300)],
  stored: [task("1"), task("2", { attempt: 2 })],
  counts: { over: 2 },
  wholeWatches: ["w"],
  capacity: 3,
  mayHaveUntold: false,
};

describe("faultsOf", () => {
  it("finds nothing wrong with what is right", () => {
    expect(faultsOf(good)).toEqual([]);
  });

  const wrong: readonly [string, Partial<History>, RegExp][] = [
    ["an acknowledged task that is gone", { told: [...good.told, submit("c", "3")] }, /3 was acknowledged/],
    ["two tasks of one request id", { told: [...good.told, submit("a", "2")] }, /a is 1 and 2/],
    ["one task of two request ids", { told: [...good.told, submit("c", "2")] }, /2 is of b and of c/],
    [
      "a second spec under a request id",
      { told: [...good.told, submit("a", "1", { spec: "other" })] },
      /accepted with another spec/,
    ],
    [
      "a task that nobody submitted",
      { stored: [...good.stored, task("9", { exitCode: undefined })], counts: { over: 3 }, wholeWatches: [] },
      /made by no submit/,
    ],
    [
      "an end that was told and is not",
      { stored: [task("1", { outcome: "failed" }), task("2", { attempt: 2 })] },
      /1 was told succeeded in attempt 1 and is failed/,
    ],
    [
      "an end that was told of a task that still runs",
      { stored: [task("1", { state: "running", exitCode: undefined }), task("2", { attempt: 2 })], counts: {} },
      /told to be over and is running/,
    ],
    [
      "an end that is taken back",
      { told: [...good.told, read("1", 10, { state: "running", attempt: 1, outcome: undefined })] },
      /1 was over and then running/,
    ],
    [
      "an attempt that goes back",
      { told: [...good.told, read("2", 10, { state: "over", attempt: 1, outcome: "succeeded" })] },
      /2 was in attempt 2 and then in 1/,
    ],
    ["an end that is told twice", { told: [...good.told, event("w", "1")] }, /watch w told 2 ends of 1/],
    [
      "an end that a whole watch does not tell",
      { told: good.told.filter((one) => one.kind !== "event" || one.taskId !== "2") },
      /told no end of 1 tasks, as 2/,
    ],
    ["a run that started twice", { wrote: [...good.wrote!, ...ran("1", 1, 400)] }, /1 attempt 1 started 2 times/],
    [
      "a task that ran to its end twice",
      { wrote: [...ran("1", 1, 100, 200), ...ran("2", 1, 100, 200), ...ran("2", 2, 210, 300)] },
      /in attempts \[1, 2\]/,
    ],
    ["a task that never ran", { wrote: ran("1", 1, 100, 200) }, /2 attempt 2 ended by itself.*\[\]/],
    ["a run of a task that is not there", { wrote: [...good.wrote!, ...ran("7", 1, 1, 2)] }, /7 attempt 1 ran/],
    ["a run that the store knows nothing of", { wrote: [...good.wrote!, ...ran("1", 2, 300)] }, /the store is at 1/],
    [
      "two attempts at the same time",
      { wrote: [...ran("1", 1, 100, 200), ...ran("2", 1, 100, 250), ...ran("2", 2, 210, 300)] },
      /attempt 1 of 2 made progress after attempt 2/,
    ],
    ["more at a time than fit", { capacity: 1 }, /ran at the same time where 1 fit/],
    ["counts that do not add up", { counts: { over: 1, running: 1 } }, /1 tasks are counted as over, and 2 are/],
  ];
  for (const [what, change, says] of wrong)
    it(`finds ${what}`, () => {
      expect(faultsOf({ ...good, ...change }).join("\n")).toMatch(says);
    });
});
