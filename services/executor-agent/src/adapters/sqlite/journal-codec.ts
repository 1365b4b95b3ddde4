import { isOfThisLife } from "../../domain/held-run.ts";
import type { HeldRun } from "../../domain/held-run.ts";

const dates = new Set(["startedAt", "endedAt", "refusedAt"]);

/** Encodes a run for its row. Phases that exist only in this process (`starting`, `queued`) are written as `accepted`. */
export const heldToRow = (held: HeldRun): string =>
  JSON.stringify(isOfThisLife(held) ? { ...held, phase: { kind: "accepted" } } : held);

/** Decodes a row. Members that JSON left out are undefined again. */
export const heldFromRow = (text: string): HeldRun =>
  JSON.parse(text, (name, value: unknown) =>
    dates.has(name) && typeof value === "string" ? new Date(value) : value,
  ) as HeldRun;
