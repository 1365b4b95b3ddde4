import type { Run } from "@berth/core";
import type { HeldRun } from "../domain/held-run.ts";
import type { StepName } from "../domain/steps.ts";
import type { Urgency } from "./run-table.ts";

/** One thing that the agent does because of an event. The reactor decides them; `effectRunner` does them, in order. */
export type Effect =
  /** The run is so from now on; the urgency says when the journal has it. */
  | { readonly do: "save"; readonly held: HeldRun; readonly urgency: Urgency }
  /** Runs with a spec that the server sent, and the newer term that came with them: into the journal in one transaction. */
  | {
      readonly do: "takeOver";
      readonly runs: readonly HeldRun[];
      readonly term: { readonly epoch: string; readonly term: number } | undefined;
    }
  /** Writes to the journal now what was saved with `now`. */
  | { readonly do: "commit" }
  /** Does the next steps of runs whose state need not be written first. */
  | { readonly do: "act"; readonly keys: readonly string[] }
  /** A step of `nextSteps`, for all runs that need it. */
  | { [Name in StepName]: { readonly do: Name; readonly keys: readonly string[] } }[StepName]
  /** Reports a running run without the delay that saves reports of short ones. */
  | { readonly do: "reportNow"; readonly key: string }
  /** The run has ended or was refused: frees its place, and counts or logs it. */
  | { readonly do: "over"; readonly held: HeldRun }
  /** Starts runs of the start queue that fit now. */
  | { readonly do: "startWaiting" }
  /** Asks the driver to drop runs that wait in a lane. */
  | { readonly do: "takeBack"; readonly runs: readonly Run[] }
  /** Tells the driver once more that runs are settled. */
  | { readonly do: "settleAgain"; readonly runs: readonly Run[] }
  /** Tells the driver when the leases of these runs end now. */
  | { readonly do: "extendLeases"; readonly runs: readonly HeldRun[] }
  /** The server answered the sync that was sent then, from a database of that epoch. */
  | { readonly do: "heard"; readonly askedElapsedMs: number; readonly epoch: string }
  /** Sends the next sync within this time. */
  | { readonly do: "syncWithin"; readonly ms: number }
  /** No run needs a look before this time, on the elapsed clock. */
  | { readonly do: "nextDeadline"; readonly elapsedMs: number }
  /** For the log. */
  | { readonly do: "note"; readonly note: Note; readonly run: Run; readonly reason?: string }
  | { readonly do: "countRefusal"; readonly code: string };

/** What the reactor decided that an operator may look for in the log. */
export type Note = "adopted" | "toldToStop" | "quarantined" | "refused";
