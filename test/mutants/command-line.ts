import type { Mutant } from "./mutants.ts";

const lines = "clients/cli/src/submit-lines.ts";
const jsonLine = "clients/cli/src/task-input/json-line.ts";

/** Of what the command line takes, passes on and refuses. */
export const commandLineMutants: readonly Mutant[] = [
  {
    name: "cli-batch-unmeasured",
    what: "a call of many lines may be larger than the server takes",
    file: lines,
    find: "(bytes > 0 && bytes + length > mostBytes)",
    replace: "(bytes > 0 && bytes > mostBytes * 4)",
    tests: ["clients/cli/src/submit-lines.test.ts"],
  },
  {
    name: "cli-line-of-any-size",
    what: "one line that no call can take fails the lines beside it",
    file: lines,
    find: "if (bytes > mostTaskBytes) throw tooLong;",
    replace: "",
    tests: ["clients/cli/src/submit-lines.test.ts"],
  },
  {
    name: "cli-line-held-whole",
    what: "a line without an end is held in memory",
    file: "clients/cli/src/input-lines.ts",
    find: "const whole = heldBytes <= mostBytes ? Buffer.concat(held) : undefined;",
    replace: "const whole = Buffer.concat(held);",
    tests: ["clients/cli/src/input-lines.test.ts"],
  },
  {
    name: "cli-said-twice",
    what: "of two members that say the same thing, one is ignored",
    file: jsonLine,
    find: "if (before !== undefined && !joined.has(name as keyof ApiPart))",
    replace: "if (before === name)",
    tests: ["clients/cli/src/task-input/json-line.test.ts"],
  },
  {
    name: "cli-half-a-character",
    what: "a lone surrogate is sent as another character",
    file: jsonLine,
    find: "if (!value.isWellFormed())",
    replace: "if (value.length < 0)",
    tests: ["clients/cli/src/task-input/json-line.test.ts"],
  },
  {
    name: "cli-after-weakens",
    what: "--after takes back what --afterok asks",
    file: "clients/cli/src/task-input/task-wish.ts",
    find: '(before.kind === "KIND_AFTER_OK" ? before : next)',
    replace: "next",
    tests: ["clients/cli/src/task-input/task-wish.test.ts"],
  },
  {
    name: "cli-stale-bundle",
    what: "an edited source is hidden by the bundle of before",
    file: "clients/cli/src/fresh-bundle.ts",
    find: "return same ? join(dir, program) : undefined;",
    replace: "return join(dir, program);",
    tests: ["clients/cli/src/fresh-bundle.test.ts"],
  },
  {
    name: "cli-terminal-obeys",
    what: "bidirectional marks in names turn the order of what is read",
    file: "clients/cli/src/output/table.ts",
    find: "\\u2028-\\u202e\\u2066-\\u2069\\ufeff",
    replace: "\\ufeff",
    tests: ["clients/cli/src/output/table.test.ts"],
  },
];
