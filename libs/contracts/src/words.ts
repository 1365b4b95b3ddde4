import { defaultHostLeaseMs } from "@berth/core";
import type { HostLease, Outcome, StateKind, TaskRequest } from "@berth/core";
import { OnHostLost, Outcome as WireOutcome, TaskRequest as WireRequest, TaskState as WireState } from "./types.ts";
import type { TaskSpec } from "./types.ts";

/** Domain names and their values on the wire. A value that a newer peer sends and this version does not know becomes undefined. */
const states: Readonly<Record<StateKind, WireState>> = {
  pending: WireState.PENDING,
  placed: WireState.PLACED,
  running: WireState.RUNNING,
  suspended: WireState.SUSPENDED,
  over: WireState.OVER,
  archived: WireState.ARCHIVED,
};

const outcomes: Readonly<Record<Outcome, WireOutcome>> = {
  succeeded: WireOutcome.SUCCEEDED,
  failed: WireOutcome.FAILED,
  killed: WireOutcome.KILLED,
  timed_out: WireOutcome.TIMED_OUT,
  out_of_memory: WireOutcome.OUT_OF_MEMORY,
  lost: WireOutcome.LOST,
  rejected: WireOutcome.REJECTED,
  dependency_failed: WireOutcome.DEPENDENCY_FAILED,
};

const requests: Readonly<Record<TaskRequest, WireRequest>> = {
  kill: WireRequest.KILL,
  suspend: WireRequest.SUSPEND,
  resume: WireRequest.RESUME,
};

const inverse = <K extends string>(table: Readonly<Record<K, string>>): ReadonlyMap<string, K> =>
  new Map((Object.entries(table) as [K, string][]).map(([ours, wire]) => [wire, ours]));

const statesOfWire = inverse(states);
const outcomesOfWire = inverse(outcomes);
const requestsOfWire = inverse(requests);

/** Every state and outcome, in the order of a task's life: a new one does not compile before it stands above. */
export const stateNames = Object.keys(states) as readonly StateKind[];
export const outcomeNames = Object.keys(outcomes) as readonly Outcome[];

export const stateToWire = (state: StateKind): WireState => states[state];
export const stateFromWire = (state: WireState): StateKind | undefined => statesOfWire.get(state);
export const outcomeToWire = (outcome: Outcome | undefined): WireOutcome =>
  outcome ? outcomes[outcome] : WireOutcome.UNSPECIFIED;
export const outcomeFromWire = (outcome: WireOutcome): Outcome | undefined => outcomesOfWire.get(outcome);
export const requestToWire = (request: TaskRequest | undefined): WireRequest =>
  request ? requests[request] : WireRequest.UNSPECIFIED;
export const requestFromWire = (request: WireRequest): TaskRequest | undefined => requestsOfWire.get(request);

/**
 * The lease that a spec asks for. Undefined: the task waits for its host, also where `on_host_lost` is a value this version does not know, because waiting
 * never runs a task twice.
 */
export function hostLeaseOf({ onHostLost, hostLeaseMs }: TaskSpec): HostLease | undefined {
  const leaseMs = hostLeaseMs || defaultHostLeaseMs;
  if (onHostLost === OnHostLost.RETRY) return { after: "retry", leaseMs };
  return onHostLost === OnHostLost.FAIL ? { after: "fail", leaseMs } : undefined;
}
