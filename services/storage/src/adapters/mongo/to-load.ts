import type { Foreseen, TaskKey } from "../../ports/records.ts";
import { attemptKey, clientKeyOf, taskKey } from "./collections.ts";

/** The documents that a write or a question needs to be loaded before it decides. */
export class ToLoad implements Foreseen {
  readonly specs = new Set<number>();
  /** Tasks whose spec as it was submitted is needed too; it is long, and needed only for assignments. */
  readonly runSpecs = new Set<number>();
  readonly tasks = new Set<string>();
  readonly keys = new Set<string>();
  readonly attemptIds = new Set<string>();
  readonly chunks = new Set<string>();
  /** Arrays whose live and waiting elements are all needed. */
  readonly elements = new Set<number>();
  /** Hosts whose live tasks are all needed. */
  readonly hosts = new Set<string>();
  /** Tasks for which we need to know whether a pending task waits for them. */
  readonly waitedFor = new Set<number>();
  /** Tasks whose earlier attempts are all needed, by their keys. */
  readonly history = new Set<string>();

  runSpec(number: number): void {
    this.runSpecs.add(number);
  }

  attempts({ number, idx }: TaskKey, upTo: number): void {
    for (let attempt = 1; attempt <= upTo; attempt++) this.attemptIds.add(attemptKey(number, idx, attempt));
  }

  liveOn(hostId: string): void {
    this.hosts.add(hostId);
  }

  clientKey(user: string, key: string): void {
    this.keys.add(clientKeyOf(user, key));
  }

  removal(number: number): void {
    this.waitedFor.add(number);
    this.history.add(taskKey(number, -1));
  }

  /** A task, with its array where it is an element, and what never changes of it. */
  task(number: number, idx: number): void {
    this.specs.add(number);
    this.tasks.add(taskKey(number, idx));
    if (idx >= 0) this.tasks.add(taskKey(number, -1));
  }
}

/** Thrown when a decision asks for a document that is not loaded. The caller loads it, and runs the decision again from its beginning. */
export class NotLoaded extends Error {
  readonly toLoad: ToLoad;
  constructor(add: (toLoad: ToLoad) => void) {
    super("not loaded");
    this.toLoad = new ToLoad();
    add(this.toLoad);
  }
}

/** Whether all wanted documents are loaded. */
export const are = <K>(wanted: ReadonlySet<K>, inHand: ReadonlyMap<K, unknown>): boolean =>
  [...wanted].every((key) => inHand.has(key));

/** Documents that were asked for and not found are remembered as missing. */
export function missing<K>(inHand: Map<K, unknown>, asked: readonly K[]): void {
  for (const key of asked) if (!inHand.has(key)) inHand.set(key, undefined);
}
