import type { Assignments } from "./plan-store.ts";

/** Carries assignments to agents. It returns at once and promises nothing: what does not arrive is offered again by the watcher's sync. */
export interface Dispatcher {
  send(assignments: readonly Assignments[]): void;
}
