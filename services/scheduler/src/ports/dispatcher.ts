import type { Assignments } from "./plan-store.ts";

/** Sends assignments to agents. It returns immediately and guarantees nothing: a lost assignment is offered again with the watcher's answer to a sync. */
export interface Dispatcher {
  send(assignments: readonly Assignments[]): void;
}
