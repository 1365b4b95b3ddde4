import type { Reason } from "./task-state.ts";

/**
 * What a refusal to start a run is blamed on. moment: on nothing; the next placement there may succeed. host: on the host, for every user. user: on something
 * that the task's user made or has there; other users' tasks are not affected.
 */
export type Blame = "moment" | "host" | "user";

/** Every reason for which an agent or driver does not start a run, and what it is blamed on. */
const blames = {
  /** Placed by a scheduler that no longer leads. */
  STALE_TERM: "moment",
  /** Placed for an earlier journal of the host. */
  OTHER_JOURNAL: "moment",
  /** The host is full just now, or the run waited there for too long. */
  OVER_CAPACITY: "moment",
  /** The server asked for its stop before the run arrived. */
  NEVER_STARTED: "moment",
  STOPPED_BEFORE_START: "moment",
  /** The driver cannot suspend, and the task asks for a lease. */
  CANNOT_FREEZE: "host",
  /** The agent does not run as root and cannot become that user. */
  IDENTITY_NOT_POSSIBLE: "host",
  VOLUME_MISSING: "host",
  NAME_TAKEN: "host",
  ENGINE_ERROR: "host",
  /** The task's directory, script or output cannot be made: the disk is full or broken. */
  TASK_DIR_FAILED: "host",
  /** The host as a whole starts no more processes. */
  NO_PROCESS: "host",
  /** No more files can be opened there. */
  NO_DESCRIPTORS: "host",
  /** The keeper can make no cgroup for it. */
  CGROUP_FAILED: "host",
  /** Its start cannot be recorded: the disk of the agent's data is full or broken. */
  RECORD_FAILED: "host",
  /** The keeper of the user's tasks could not be started. */
  KEEPER_FAILED: "host",
  /** Anything else that the agent could not prepare. */
  NOT_PREPARED: "host",
  /** The path of the task's directory is taken by something else: a link, a file, or another user's directory. */
  TASK_DIR_UNSAFE: "user",
  /** The user's disk quota is used up. */
  DISK_QUOTA: "user",
  /** The user's own limit of processes is reached. */
  USER_PROCESS_LIMIT: "user",
  /** The user's keeper was killed, stopped, or does not answer. */
  KEEPER_GONE: "user",
} as const satisfies Readonly<Record<string, Blame>>;

export type RunRefusalCode = keyof typeof blames;

/** Why a run was not started on a host; its task goes back to pending, or ends after some in a row. */
export interface RunRefusal extends Reason {
  readonly code: RunRefusalCode;
}

const isRunRefusalCode = (code: string): code is RunRefusalCode => Object.hasOwn(blames, code);

/** A refusal with that code; one that is not in the table becomes NOT_PREPARED, with the code in its message. */
export const runRefusal = (code: string, message: string): RunRefusal =>
  isRunRefusalCode(code) ? { code, message } : { code: "NOT_PREPARED", message: `${code}: ${message}` };

/** What a refusal speaks against; a code that a newer agent may tell and we do not know, against the host. */
export const blameOf = (code: string): Blame => (isRunRefusalCode(code) ? blames[code] : "host");
