import type { Run } from "@berth/core";

/** Where a run's files are on this host. */
export interface TaskPlace {
  /** The task's directory. */
  readonly taskDir: string;
  /** The array's shared directory; of a task that is no element: its own directory. */
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
  /** Makes what a run needs, owned by its user; throws AppError where that is impossible. */
  prepare(run: Run, owner: Owner): TaskPlace;
  /** Writes a script where its user can read and run it, and nobody change it; the same spec gets the same place. */
  writeScript(specId: number, script: string, owner: Owner): { readonly controlDir: string; readonly path: string };
  /** Removes a script that no run needs any more. */
  dropScript(specId: number): void;
  /** Removes all scripts but those of these specs; called when the agent starts. */
  keepScripts(specIds: ReadonlySet<number>): void;
}
