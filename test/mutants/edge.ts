import type { Mutant } from "./mutants.ts";

/** Of what the public door refuses before anything is stored. */
export const edgeMutants: readonly Mutant[] = [
  {
    name: "array-index-without-bound",
    what: "an array may have indexes that no cursor can step over",
    file: "libs/core/src/array-range.ts",
    find: "if (last > maxArrayIndex || step > maxArrayIndex)",
    replace: "if (step > maxArrayIndex)",
    tests: ["libs/core"],
  },
  {
    name: "array-index-not-whole",
    what: "an array may have indexes that are no whole numbers",
    file: "libs/core/src/array-range.ts",
    find: "[first, last, step].every((n) => Number.isSafeInteger(n))",
    replace: "[first, last, step].every((n) => Number.isFinite(n))",
    tests: ["libs/core"],
  },
  {
    name: "element-id-beyond-any-array",
    what: "an id names an element that no array can have",
    file: "libs/core/src/task-id.ts",
    find: "if (!match || Number(match[2] ?? 0) > maxArrayIndex)",
    replace: "if (!match)",
    tests: ["libs/core"],
  },
];
