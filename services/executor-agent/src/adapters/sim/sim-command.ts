import { parseDuration } from "@berth/core";

/** What a virtual task does. */
export interface SimPlan {
  readonly durationMs: number;
  readonly end:
    | { readonly kind: "exit"; readonly code: number }
    | { readonly kind: "signal"; readonly signal: number }
    | { readonly kind: "oom" }
    | { readonly kind: "failed" | "unable" | "lost"; readonly code: string };
  /** Whether TERM has no effect on it. */
  readonly ignoresTerm: boolean;
}

/**
 * Reads a virtual task's command: `sim [DURATION] [exit N | signal N | oom | failed CODE | unable CODE | lost CODE] [ignore-term]`.
 * Any other command takes the default time and succeeds.
 */
export function parseSimCommand(command: readonly string[], defaultMs: number): SimPlan {
  const plan = { durationMs: defaultMs, end: { kind: "exit", code: 0 } as SimPlan["end"], ignoresTerm: false };
  if (command[0] !== "sim") return plan;
  const words = command.slice(1);
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "exit") plan.end = { kind: "exit", code: Number(words.shift()) };
    else if (word === "signal") plan.end = { kind: "signal", signal: Number(words.shift()) };
    else if (word === "oom") plan.end = { kind: "oom" };
    else if (word === "failed" || word === "unable" || word === "lost")
      plan.end = { kind: word, code: words.shift() ?? "SIMULATED" };
    else if (word === "ignore-term") plan.ignoresTerm = true;
    else plan.durationMs = /^0(ms)?$/.test(word) ? 0 : parseDuration(word);
  }
  return plan;
}
