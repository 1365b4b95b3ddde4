import type { Outcome, StateKind, TaskRequest } from "@berth/core";
import { outcomeToWire, requestToWire, stateToWire } from "@berth/contracts";
import { Outcome as WireOutcome, TaskRequest as WireRequest, TaskState as WireState } from "@berth/contracts/types";

/** Words as numbers in the database; 0 means none. A new word without a number does not compile; a number never changes. */
const stateCodes: Readonly<Record<StateKind, number>> = {
  pending: 1,
  placed: 2,
  running: 3,
  suspended: 4,
  over: 5,
  archived: 6,
};
const outcomeCodes: Readonly<Record<Outcome, number>> = {
  succeeded: 1,
  failed: 2,
  killed: 3,
  timed_out: 4,
  out_of_memory: 5,
  lost: 6,
  rejected: 7,
  dependency_failed: 8,
};
const requestCodes: Readonly<Record<TaskRequest, number>> = { kill: 1, suspend: 2, resume: 3 };

const inOrder = <W extends string>(codes: Readonly<Record<W, number>>): readonly W[] =>
  (Object.keys(codes) as W[]).sort((a, b) => codes[a] - codes[b]);
const states = inOrder(stateCodes);
const outcomes = inOrder(outcomeCodes);
const requests = inOrder(requestCodes);

export const stateCode = (state: StateKind): number => stateCodes[state];
export const outcomeCode = (outcome: Outcome | undefined): number => (outcome ? outcomeCodes[outcome] : 0);
export const requestCode = (request: TaskRequest | undefined): number => (request ? requestCodes[request] : 0);

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
