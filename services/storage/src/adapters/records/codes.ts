import type { Outcome, StateKind, TaskRequest } from "@berth/core";
import { outcomeToWire, requestToWire, stateToWire } from "@berth/contracts";
import { Outcome as WireOutcome, TaskRequest as WireRequest, TaskState as WireState } from "@berth/contracts/types";

/** Words as the database keeps them: positions in these lists, from 1; 0 is none. Only ever add at the end. */
const states: readonly StateKind[] = ["pending", "placed", "running", "suspended", "over", "archived"];
const outcomes: readonly Outcome[] = [
  "succeeded",
  "failed",
  "killed",
  "timed_out",
  "out_of_memory",
  "lost",
  "rejected",
  "dependency_failed",
];
const requests: readonly TaskRequest[] = ["kill", "suspend", "resume"];

export const stateCode = (state: StateKind): number => states.indexOf(state) + 1;
export const outcomeCode = (outcome: Outcome | undefined): number => (outcome ? outcomes.indexOf(outcome) + 1 : 0);
export const requestCode = (request: TaskRequest | undefined): number => (request ? requests.indexOf(request) + 1 : 0);

/** A code that this version does not know cannot be there: a newer form of the database is not opened. */
export const stateOf = (code: number): StateKind => states[code - 1]!;
export const outcomeOf = (code: number): Outcome | undefined => outcomes[code - 1];
export const requestOf = (code: number): TaskRequest | undefined => requests[code - 1];

const wireStates: readonly WireState[] = [WireState.UNSPECIFIED, ...states.map(stateToWire)];
const wireOutcomes: readonly WireOutcome[] = [WireOutcome.UNSPECIFIED, ...outcomes.map(outcomeToWire)];
const wireRequests: readonly WireRequest[] = [WireRequest.UNSPECIFIED, ...requests.map(requestToWire)];

export const wireState = (code: number): WireState => wireStates[code] ?? WireState.UNSPECIFIED;
export const wireOutcome = (code: number): WireOutcome => wireOutcomes[code] ?? WireOutcome.UNSPECIFIED;
export const wireRequest = (code: number): WireRequest => wireRequests[code] ?? WireRequest.UNSPECIFIED;

export const placedCode = stateCode("placed");
export const pendingCode = stateCode("pending");
export const runningCode = stateCode("running");
export const suspendedCode = stateCode("suspended");
export const overCode = stateCode("over");
export const killCode = requestCode("kill");

/** `state IN (…)` for statements: the same lists as the state machine's. */
export const stateIn = (kinds: readonly StateKind[]): string => `state IN (${kinds.map(stateCode).join(", ")})`;
