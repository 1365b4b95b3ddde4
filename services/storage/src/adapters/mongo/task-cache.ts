import type { TaskDoc } from "./collections.ts";

const tasksRemembered = 10_000;

/**
 * Cache of records as this store wrote them. It is valid as long as no other store has written since, which the writer document's `turn` shows. A store that writes
 * alone reads no record to place or end a task; with several stores, each reads what another one may have changed.
 */
export class TaskCache {
  readonly #tasks = new Map<string, TaskDoc>();
  #turn = -1;

  /** The records that are valid in a transaction that found the writer document at that turn. */
  at(turn: number): ReadonlyMap<string, TaskDoc> {
    if (turn !== this.#turn) this.forget();
    return this.#tasks;
  }

  /** To be called after a commit, with the turn that it wrote. */
  remember(turn: number, tasks: ReadonlyMap<string, TaskDoc | undefined>): void {
    this.#turn = turn;
    for (const [key, task] of tasks) {
      this.#tasks.delete(key); // to the end, as the youngest
      if (task) this.#tasks.set(key, task);
    }
    for (const oldest of this.#tasks.keys()) {
      if (this.#tasks.size <= tasksRemembered) break;
      this.#tasks.delete(oldest);
    }
  }

  forget(): void {
    this.#tasks.clear();
    this.#turn = -1;
  }
}
