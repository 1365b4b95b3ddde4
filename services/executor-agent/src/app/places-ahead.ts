import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { Owner, TaskFiles, TaskPlace } from "../ports/task-files.ts";

/** With more new runs at once, making places ahead saves no time, because one disk sync of the journal serves all of them. */
const mostTogether = 4;
/** Most unused places to remember. Runs that are stopped before their start leave theirs. */
const mostKept = 64;

/**
 * Makes the places of runs (directory, output files) while the journal is synced to disk, which takes about as long. Nothing else may happen before that sync. A
 * place may, because an empty directory does not mean that the run began, and if the run is offered again its place exists already.
 */
export class PlacesAhead implements Pick<TaskFiles, "prepare"> {
  readonly #files: Pick<TaskFiles, "prepare">;
  readonly #made = new Map<string, TaskPlace>();

  constructor(files: Pick<TaskFiles, "prepare">) {
    this.#files = files;
  }

  /** Ignores failures: the start tries again, and reports the reason. */
  make(wanted: readonly { readonly run: Run; readonly owner: Owner }[]): void {
    if (wanted.length > mostTogether) return;
    for (const { run, owner } of wanted) {
      try {
        const place = this.#files.prepare(run, owner);
        if (this.#made.size >= mostKept) this.#made.clear();
        this.#made.set(runKey(run), place);
      } catch {
        return;
      }
    }
  }

  prepare(run: Run, owner: Owner): TaskPlace {
    const key = runKey(run);
    const made = this.#made.get(key);
    this.#made.delete(key);
    return made ?? this.#files.prepare(run, owner);
  }
}
