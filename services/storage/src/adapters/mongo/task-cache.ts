import type { TaskDoc } from "./collections.ts";

const tasksRemembered = 10_000;

/**
 * Records as this store left them. They hold as long as nobody else has written since: the writer document's turn tells. With one store at work, a task that is
 * placed and ends is read by nobody; with several, each reads what another one may have changed.
 */
export class TaskCache {
  readonly #tasks = new Map<string, TaskDoc>();
  #turn = -1;

  /** Records that still hold in a transaction that found the writer document at that turn. */
  at(turn: number): ReadonlyMap<string, TaskDoc> {
    if (turn !== this.#turn) this.forget();
    return this.#tasks;
  }

  /** After a commit that made the turn that one. */
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
