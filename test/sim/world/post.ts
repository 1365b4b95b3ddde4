import { Node } from "./network.ts";
import type { Started, ProcessDeps } from "./services.ts";
import type { StoreClient } from "./store-client.ts";

/** A place with what is started there, again after each death. */
export interface Post {
  readonly node: Node;
  readonly kind: "storage" | "scheduler" | "watcher" | "agent";
  /** How fast the clocks of its next life go. */
  rate: number;
  /** How far the wall clock there is off. */
  wallOffsetMs: number;
  /** Not to be started again for now: its machine is off. */
  down: boolean;
  lives: number;
  stop: AbortController;
  start(surroundings: Omit<ProcessDeps, "store">, store: StoreClient): Started;
}

/** A post where nothing was started yet. */
export const newPost = (name: string, kind: Post["kind"], start: Post["start"]): Post => ({
  node: new Node(name),
  kind,
  rate: 1,
  wallOffsetMs: 0,
  down: false,
  lives: 0,
  stop: new AbortController(),
  start,
});
