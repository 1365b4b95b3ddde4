import type { AssignRequest } from "@berth/contracts/agent";
import { isSoundRun, runKey } from "@berth/core";
import { admit } from "../domain/admission.ts";
import type { Offer } from "../domain/admission.ts";
import { isLive } from "../domain/held-run.ts";
import type { HeldRun } from "../domain/held-run.ts";
import { askEveryMs, neverMs, onLease } from "../domain/lease.ts";
import type { AgentDeps } from "./agent-deps.ts";
import type { PlacesAhead } from "./places-ahead.ts";
import type { RunTable } from "./run-table.ts";
import { needsOf } from "./spec-table.ts";
import type { SpecTable } from "./spec-table.ts";

export interface IntakeDeps extends Pick<AgentDeps, "journal" | "clock" | "driver" | "logger"> {
  readonly table: RunTable;
  readonly specs: SpecTable;
  readonly places: PlacesAhead;
  /** How many runs wait here for room. */
  readonly waiting: () => number;
  /** The control plane is to be asked within this time. */
  readonly askWithin: (ms: number) => void;
  /** A run was refused, for that reason. */
  readonly onRefused: (code: string) => void;
}

/** Takes over what this host is offered, or refuses it; knows the largest term of each epoch. */
export class Intake {
  readonly #deps: IntakeDeps;
  readonly #terms = new Map<string, number>();
  /** When the last question was sent that was answered. */
  #heardElapsedMs = neverMs;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  load(terms: ReadonlyMap<string, number>): void {
    for (const [epoch, term] of terms) this.#terms.set(epoch, term);
  }

  /** Largest term seen of an epoch: a new database counts from 1 again. */
  termOf(epoch: string): number {
    return this.#terms.get(epoch) ?? 0;
  }

  /** A term that was told without runs. */
  noteTerm(epoch: string, term: number): void {
    if (term <= this.termOf(epoch)) return;
    this.#terms.set(epoch, term);
    this.#deps.table.add([], [], { epoch, term });
  }

  /** The control plane answered what was asked then. */
  noteHeard(askedElapsedMs: number): void {
    this.#heardElapsedMs = Math.max(this.#heardElapsedMs, askedElapsedMs);
  }

  /** Runs that were found here without their spec, with it: from now on their limits and their lease hold, and they count against this host's capacity. */
  #complete(offers: readonly Offer[]): HeldRun[] {
    return offers.flatMap(({ run, specId, needs }): HeldRun[] => {
      const held = this.#deps.table.get(runKey(run));
      return held && held.specId === undefined && isLive(held)
        ? [{ ...held, specId, needs, frozen: held.frozen && needs.leaseMs > 0, renewedElapsedMs: this.#heardElapsedMs }]
        : [];
    });
  }

  /** Puts what is new into the table, from where it goes on once it is on disk. */
  admit({ assignments, specs, term }: AssignRequest): void {
    const { journal, clock, driver, logger, table } = this.#deps;
    const interned = specs.map((spec) => ({ ...this.#deps.specs.intern(spec), needs: needsOf(spec) }));
    const offers = assignments.flatMap(({ run, specIndex, journalId }): Offer[] => {
      const spec = interned[specIndex];
      if (run && spec && isSoundRun(run)) return [{ run, specId: spec.id, needs: spec.needs, journalId }];
      logger.warn("an assignment cannot be read and is left out", { task: run?.taskId, attempt: run?.attempt });
      this.#deps.onRefused("UNREADABLE");
      return [];
    });
    const host = {
      journalId: journal.id,
      termOf: (epoch: string) => this.termOf(epoch),
      capacity: driver.capacity(),
      canSuspend: driver.features().has("suspend"),
      heardElapsedMs: this.#heardElapsedMs,
      waiting: this.#deps.waiting(),
      isHeld: (key: string) => table.isHeld(key),
    };
    const now = clock.now();
    const completed = this.#complete(offers);
    // A message may have waited on its way for longer than its run's lease: such a run begins only once it was asked about.
    const taken = admit(offers, term, host, now.at).map((held) => onLease(held, now));
    for (const { specId } of [...taken, ...completed]) if (specId !== undefined) this.#deps.specs.hold(specId);
    const needed = new Set([...taken, ...completed].map(({ specId }) => specId));
    const written = interned.flatMap(({ id, bytes }) => (bytes && needed.has(id) ? [{ id, bytes }] : []));
    for (const { id } of interned) this.#deps.specs.drop(id); // those of repeated offers only
    const epoch = offers[0]?.run.epoch ?? "";
    const isNewer = term > this.termOf(epoch);
    if (isNewer) this.#terms.set(epoch, term);
    if (taken.length + completed.length > 0 || isNewer)
      table.add([...taken, ...completed], written, isNewer ? { epoch, term } : undefined);
    this.#makePlaces(taken);
    const everyMs = askEveryMs([...taken, ...completed]);
    if (everyMs < Infinity) this.#deps.askWithin(Math.max(0, this.#heardElapsedMs + everyMs - now.elapsedMs));
    for (const { run, phase } of taken) {
      if (phase.kind !== "refused") continue;
      this.#deps.onRefused(phase.reason.code);
      logger.info("refused a run", { task: run.taskId, attempt: run.attempt, reason: phase.reason.code });
    }
  }

  /** Of runs that will be started once they are on disk, where they were not yet. */
  #makePlaces(taken: readonly HeldRun[]): void {
    const { table, specs, places } = this.#deps;
    const wanted = taken.flatMap(({ key, run, specId }) => {
      const owner = specId === undefined ? undefined : specs.get(specId)?.identity;
      return owner && table.get(key)?.phase.kind === "accepted" ? [{ run, owner }] : [];
    });
    places.make(wanted);
  }
}
