import type { Run } from "@berth/core";

/** Where a run's files are on this host. */
export interface TaskPlace {
  /** The task's directory. */
  readonly taskDir: string;
  /** The array's shared directory; the task's own where it is no element. */
  readonly arrayDir: string;
  readonly stdoutPath: string;
  readonly stderrPath: string;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Directories of tasks. Synchronous: a handful of system calls a task costs less than the promises around them. */
export interface TaskFiles {
  /** Makes what a run needs, owned by its user; throws AppError where that is impossible. */
  prepare(run: Run, owner: Owner): TaskPlace;
  /** Writes a script where its user can read and run it, and nobody change it; the same spec gets the same place. */
  writeScript(specId: number, script: string, owner: Owner): { readonly controlDir: string; readonly path: string };
  /** No run needs that script any more. */
  dropScript(specId: number): void;
  /** At start: only runs of these specs are here. */
  keepScripts(specIds: ReadonlySet<number>): void;
}
