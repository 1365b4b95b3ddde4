import type { Outcome as OutcomeWord, TaskRequest } from "@berth/core";
import fc from "fast-check";
import { tasks } from "./task-life-model.ts";

/** What can happen, named as its actor would. Attempts are relative to the right one, so that wrong ones are tried, too. */
export type Step =
  | { readonly kind: "place"; readonly task: number; readonly off: number; readonly host: "h1" | "h2" }
  | { readonly kind: "end"; readonly task: number }
  | { readonly kind: "request"; readonly task: number; readonly request: TaskRequest }
  | {
      readonly kind: "report";
      readonly task: number;
      readonly off: number;
      readonly phase: "started" | "suspended" | "resumed" | "ended" | "refused";
      readonly outcome: OutcomeWord;
    }
  | { readonly kind: "killArray" }
  | { readonly kind: "fold" }
  | { readonly kind: "archive" }
  | { readonly kind: "limit"; readonly maxLive: number }
  | { readonly kind: "lose"; readonly host: "h1" | "h2"; readonly by: "" | "root" }
  | { readonly kind: "reopen" };

const task = fc.nat({ max: tasks - 1 });
const off = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.constant(-1) },
  { weight: 1, arbitrary: fc.constant(1) },
);
/** Any of them. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("place" as const),
      task,
      off,
      host: fc.constantFrom("h1" as const, "h2" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("end" as const), task }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("request" as const),
      task,
      request: fc.constantFrom<TaskRequest>("kill", "suspend", "resume"),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("report" as const),
      task,
      off,
      phase: fc.constantFrom(
        "started" as const,
        "suspended" as const,
        "resumed" as const,
        "ended" as const,
        "refused" as const,
      ),
      outcome: fc.constantFrom<OutcomeWord>("succeeded", "failed", "killed", "timed_out", "out_of_memory", "lost"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("lose" as const),
      host: fc.constantFrom("h1" as const, "h2" as const),
      by: fc.constantFrom("" as const, "" as const, "root" as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "killArray" as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: "fold" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "archive" as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("limit" as const), maxLive: fc.nat({ max: 3 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "reopen" as const }) },
);
