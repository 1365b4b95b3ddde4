import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { Owner, TaskFiles, TaskPlace } from "../ports/task-files.ts";

/** Runs that are taken over together, of which each is worth its time; of more, the disk serves all at once anyway. */
const mostTogether = 4;
/** Runs that never start, such as those that are stopped before, leave theirs here until so many have come. */
const mostKept = 64;

/**
 * Places of runs that are made while the journal is put on disk, which costs as long. It is the one thing that is done before that: a directory says nothing of a
 * run, and is there already where the run is offered again.
 */
export class PlacesAhead implements Pick<TaskFiles, "prepare"> {
  readonly #files: Pick<TaskFiles, "prepare">;
  readonly #made = new Map<string, TaskPlace>();

  constructor(files: Pick<TaskFiles, "prepare">) {
    this.#files = files;
  }

  /** What cannot be made is tried again at the start, which tells why. */
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
