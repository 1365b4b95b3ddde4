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
  {
    name: "message-read-before-access",
    what: "the message of a refused caller is read",
    file: "libs/runtime/src/grpc-admission.ts",
    find: "if (!(answer instanceof Promise)) return decide(answer);",
    replace: "go(metadata); if (!(answer instanceof Promise)) return decide(answer);",
    tests: ["libs/runtime/src/grpc"],
  },
  {
    name: "message-of-any-size",
    what: "a message is buffered whatever its header says",
    file: "libs/runtime/src/message-guard.ts",
    find: "if (length > options.mostBytes) {",
    replace: "if (length < 0) {",
    tests: ["libs/runtime/src/grpc-admission.test.ts"],
  },
  {
    name: "message-without-deadline",
    what: "a message may stay half sent for ever",
    file: "libs/runtime/src/message-guard.ts",
    find: "  if (options.expected) expectWithin(options.messageMs);",
    replace: "",
    tests: ["libs/runtime/src/grpc-admission.test.ts"],
  },
  {
    name: "stream-outlives-its-credential",
    what: "a stream goes on after its caller's key was revoked",
    file: "services/gateway/src/adapters/grpc/access-middleware.ts",
    find: `if (AppError.from(error).code !== "unavailable") ended.abort(error);`,
    replace: "",
    tests: ["services/gateway/src/adapters/grpc"],
  },
];
