import { isOfThisLife } from "../../domain/held-run.ts";
import type { HeldRun } from "../../domain/held-run.ts";

const dates = new Set(["startedAt", "endedAt", "refusedAt"]);

/** A run as its row's text. A run that the driver has is written as accepted or running: `starting` is of this life only. */
export const heldToRow = (held: HeldRun): string =>
  JSON.stringify(isOfThisLife(held) ? { ...held, phase: { kind: "accepted" } } : held);

/** The run of a row's text; members that JSON leaves out are undefined again. */
export const heldFromRow = (text: string): HeldRun =>
  JSON.parse(text, (name, value: unknown) =>
    dates.has(name) && typeof value === "string" ? new Date(value) : value,
  ) as HeldRun;
