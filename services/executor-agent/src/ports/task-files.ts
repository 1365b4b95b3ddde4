import type { Run } from "@berth/core";

/** Where a run's files are on this host. */
export interface TaskPlace {
  /** The task's directory. */
  readonly taskDir: string;
  /** The array's shared directory; for a task that is no element, its own directory. */
  readonly arrayDir: string;
  readonly stdoutPath: string;
  readonly stderrPath: string;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Directories of tasks. Synchronous, because a few system calls per task cost less than promises around them. */
export interface TaskFiles {
  /** Makes the directories and output files of a run, owned by its user. Throws AppError if that is impossible. */
  prepare(run: Run, owner: Owner): TaskPlace;
  /** Writes a script that its user can read and run but not change. The same spec gets the same path. */
  writeScript(specId: number, script: string, owner: Owner): { readonly controlDir: string; readonly path: string };
  /** Removes a script that no run needs. */
  dropScript(specId: number): void;
  /** Removes all scripts but those of these specs; called when the agent starts. */
  keepScripts(specIds: ReadonlySet<number>): void;
}
