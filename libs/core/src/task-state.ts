import { unreachable } from "./unreachable.ts";

/** How a task ended. */
export type Outcome =
  | "succeeded"
  | "failed"
  | "killed"
  | "timed_out"
  | "out_of_memory"
  | "lost"
  | "rejected"
  | "dependency_failed";

/** What a user asked for, kept beside the state until it is carried out. */
export type TaskRequest = "kill" | "suspend" | "resume";

export interface Reason {
  /** UPPER_SNAKE, never reworded. */
  readonly code: string;
  /** For people. */
  readonly message: string;
}

/** Where an attempt is. */
interface Placed {
  readonly attempt: number;
  readonly hostId: string;
}

/**
 * A task's state with only its data. `attempt` only grows. Within one attempt the states below follow in order, except that running and suspended alternate.
 */
export type TaskState =
  | { readonly kind: "pending"; readonly attempt: number }
  | ({ readonly kind: "placed" } & Placed)
  | ({ readonly kind: "running" } & Placed)
  | ({ readonly kind: "suspended" } & Placed)
  | { readonly kind: "over"; readonly attempt: number; readonly outcome: Outcome; readonly reason: Reason }
  | { readonly kind: "archived"; readonly attempt: number; readonly outcome: Outcome; readonly reason: Reason };

export type StateKind = TaskState["kind"];

export interface TaskLife {
  readonly state: TaskState;
  readonly request: TaskRequest | undefined;
}

/** All that can happen to a task. */
export type TaskEvent =
  /** The scheduler chose a host; `attempt` is the new one. */
  | { readonly kind: "place"; readonly attempt: number; readonly hostId: string }
  /** The scheduler ends a task that can never run. */
  | { readonly kind: "end"; readonly outcome: "rejected" | "dependency_failed"; readonly reason: Reason }
  /** A user asks. */
  | { readonly kind: "request"; readonly request: TaskRequest }
  /** Events from the host of an attempt. */
  | { readonly kind: "started"; readonly attempt: number }
  | { readonly kind: "suspended"; readonly attempt: number }
  | { readonly kind: "resumed"; readonly attempt: number }
  | { readonly kind: "ended"; readonly attempt: number; readonly outcome: Outcome; readonly reason: Reason }
  /** The agent would not start it; it never ran. */
  | { readonly kind: "refused"; readonly attempt: number }
  /** Its run is given up, because its host is lost or lost it. `retry`: the task waits for another host. */
  | { readonly kind: "lost"; readonly attempt: number; readonly retry: boolean; readonly reason: Reason }
  /** Retention removed its files. */
  | { readonly kind: "archive" };

export type EventKind = TaskEvent["kind"];

/** From which states an event may move a task. The store's conditional writes use this same table. */
export const sources: Readonly<Record<Exclude<EventKind, "request">, readonly StateKind[]>> = {
  place: ["pending"],
  end: ["pending"],
  started: ["placed"],
  suspended: ["placed", "running"],
  resumed: ["suspended"],
  ended: ["placed", "running", "suspended"],
  refused: ["placed"],
  lost: ["placed", "running", "suspended"],
  archive: ["over"],
};

export type Move =
  | { readonly kind: "moved"; readonly life: TaskLife }
  /** True already, or of an earlier phase: nothing to write, and no error. */
  | { readonly kind: "unchanged" }
  /** Events of an attempt that was followed by another, or given up. */
  | { readonly kind: "superseded" }
  | { readonly kind: "refused"; readonly why: RefusalCode };

export type RefusalCode =
  | "NOT_PENDING"
  | "KILL_REQUESTED"
  | "STALE_ATTEMPT"
  | "UNKNOWN_ATTEMPT"
  | "NOT_RUNNING"
  | "NOT_OVER";

/** The reason a kill leaves. */
export const killedReason = (by: string): Reason => ({
  code: "KILLED_BY_USER",
  message: by ? `killed by ${by}` : "killed on request",
});

export const isTerminal = (kind: StateKind): boolean => kind === "over" || kind === "archived";

/** Whether a task holds a place on a host. */
export const isLive = (kind: StateKind): boolean => kind === "placed" || kind === "running" || kind === "suspended";

const refused = (why: RefusalCode): Move => ({ kind: "refused", why });
const moved = (state: TaskState, request: TaskRequest | undefined): Move => ({
  kind: "moved",
  life: { state, request },
});

/** The only place that knows the moves of a task. Never throws. */
export function move(life: TaskLife, event: TaskEvent): Move {
  const { state, request } = life;
  switch (event.kind) {
    case "place":
      if (state.kind !== "pending") return refused("NOT_PENDING");
      if (request === "kill") return refused("KILL_REQUESTED");
      if (event.attempt !== state.attempt + 1) return refused("STALE_ATTEMPT");
      return moved({ kind: "placed", attempt: event.attempt, hostId: event.hostId }, request);
    case "end":
      if (state.kind !== "pending") return refused("NOT_PENDING");
      return moved({ kind: "over", attempt: state.attempt, outcome: event.outcome, reason: event.reason }, undefined);
    case "archive":
      if (state.kind === "archived") return { kind: "unchanged" };
      return state.kind === "over" ? moved({ ...state, kind: "archived" }, undefined) : refused("NOT_OVER");
    case "request":
      return moveOnRequest(life, event.request);
    case "started":
    case "suspended":
    case "resumed":
    case "ended":
    case "refused":
    case "lost":
      return moveOnAttemptEvent(life, event);
    default:
      return unreachable(event);
  }
}

function moveOnRequest({ state, request }: TaskLife, asked: TaskRequest): Move {
  switch (state.kind) {
    case "over":
    case "archived":
      return { kind: "unchanged" };
    case "pending":
      if (asked !== "kill") return refused("NOT_RUNNING");
      return moved({ kind: "over", attempt: state.attempt, outcome: "killed", reason: killedReason("") }, undefined);
    case "placed":
    case "running":
    case "suspended":
      if (request === "kill" || request === asked) return { kind: "unchanged" };
      if (asked === "suspend" && state.kind === "suspended")
        return request === "resume" ? moved(state, undefined) : { kind: "unchanged" };
      if (asked === "resume" && state.kind !== "suspended")
        return request === "suspend" ? moved(state, undefined) : refused("NOT_RUNNING");
      return moved(state, asked);
    default:
      return unreachable(state);
  }
}

type AttemptEvent = Extract<TaskEvent, { attempt: number }>;

function moveOnAttemptEvent({ state, request }: TaskLife, event: Exclude<AttemptEvent, { kind: "place" }>): Move {
  if (event.attempt > state.attempt) return refused("UNKNOWN_ATTEMPT");
  if (event.attempt < state.attempt) return { kind: "superseded" };
  switch (state.kind) {
    case "pending": // this attempt was given up: refused, or its host lost it
      return event.kind === "refused" || event.kind === "lost" ? { kind: "unchanged" } : { kind: "superseded" };
    case "over":
    case "archived":
      return { kind: "unchanged" };
    case "placed":
    case "running":
    case "suspended":
      break;
    default:
      return unreachable(state);
  }
  if (!sources[event.kind].includes(state.kind)) return { kind: "unchanged" };
  const placed = { attempt: state.attempt, hostId: state.hostId };
  switch (event.kind) {
    case "started":
      return moved({ kind: "running", ...placed }, request);
    case "suspended":
      return moved({ kind: "suspended", ...placed }, request === "suspend" ? undefined : request);
    case "resumed":
      return moved({ kind: "running", ...placed }, request === "resume" ? undefined : request);
    case "ended":
      return moved({ kind: "over", attempt: state.attempt, outcome: event.outcome, reason: event.reason }, undefined);
    case "refused":
      if (request === "kill")
        return moved({ kind: "over", attempt: state.attempt, outcome: "killed", reason: killedReason("") }, undefined);
      return moved({ kind: "pending", attempt: state.attempt }, undefined);
    case "lost":
      if (!event.retry)
        return moved({ kind: "over", attempt: state.attempt, outcome: "lost", reason: event.reason }, undefined);
      if (request === "kill")
        return moved({ kind: "over", attempt: state.attempt, outcome: "killed", reason: killedReason("") }, undefined);
      return moved({ kind: "pending", attempt: state.attempt }, undefined);
    default:
      return unreachable(event);
  }
}

/** GO-Docker's words for a task. */
export function legacyStatus(
  kind: StateKind,
  request: TaskRequest | undefined,
  outcome: Outcome | undefined,
): { primary: string; secondary: string } {
  const asked = request === undefined ? "" : `${request} requested`;
  switch (kind) {
    case "pending":
    case "placed":
      return { primary: "pending", secondary: asked };
    case "running":
      return { primary: "running", secondary: asked };
    case "suspended":
      return { primary: "running", secondary: asked || "suspended" };
    case "over":
    case "archived":
      return {
        primary: kind,
        secondary: outcome === "killed" ? "killed" : outcome === "rejected" ? "rejected by scheduler" : "",
      };
    default:
      return unreachable(kind);
  }
}
