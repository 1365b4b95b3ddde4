import type { AssignRequest } from "@berth/contracts/agent";
import { isSoundRun } from "@berth/core";
import type { Offer } from "../domain/admission.ts";
import type { Logger } from "../ports/logger.ts";
import { needsOf } from "./spec-table.ts";
import type { SpecTable } from "./spec-table.ts";

/** What the server offers this host in one message, with the term of the leader that placed it. */
export interface Offers {
  readonly offers: readonly Offer[];
  readonly term: number;
}

export interface OffersDeps {
  readonly specs: SpecTable;
  readonly logger: Logger;
  /** Counts a run that was refused, by the reason's code. */
  readonly onRefused: (code: string) => void;
}

/**
 * Reads the message, and calls `fn` with its offers. The spec table keeps the message's specs until `fn` returns; of those that were new it then keeps only
 * the ones that `fn` held.
 */
export function withOffers<T>(
  { specs: table, logger, onRefused }: OffersDeps,
  { assignments, specs, term }: AssignRequest,
  fn: (offers: Offers) => T,
): T {
  const interned = specs.map((spec) => ({ id: table.intern(spec), needs: needsOf(spec) }));
  for (const { id } of interned) table.hold(id);
  const offers = assignments.flatMap(({ run, specIndex, journalId }): Offer[] => {
    const spec = interned[specIndex];
    if (run && spec && isSoundRun(run)) return [{ run, specId: spec.id, needs: spec.needs, journalId }];
    logger.warn("an assignment cannot be read and is left out", { task: run?.taskId, attempt: run?.attempt });
    onRefused("UNREADABLE");
    return [];
  });
  try {
    return fn({ offers, term });
  } finally {
    for (const { id } of interned) table.release(id);
  }
}
