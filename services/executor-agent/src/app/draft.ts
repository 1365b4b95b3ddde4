import type { Host } from "../domain/admission.ts";
import type { HeldRun } from "../domain/held-run.ts";
import type { Now } from "../domain/steps.ts";
import type { Effect } from "./effects.ts";
import type { Urgency } from "./run-table.ts";

/** The host's state as the reactor sees it: read only. */
export interface HostState extends Host {
  get(key: string): HeldRun | undefined;
  values(): Iterable<HeldRun>;
}

/** Has the reactor decide about an event, and does the effects before it returns. */
export type React = (event: (host: HostState, now: Now) => readonly Effect[]) => void;

/** The host as it will be after the effects decided so far: an event of a batch sees what an earlier one of the batch changed. */
export class Draft {
  readonly effects: Effect[] = [];
  readonly #host: HostState;
  readonly #saved = new Map<string, HeldRun>();

  constructor(host: HostState) {
    this.#host = host;
  }

  get(key: string): HeldRun | undefined {
    return this.#saved.get(key) ?? this.#host.get(key);
  }

  /** Whether this host has the run, or had it within the last hour. */
  isHeld(key: string): boolean {
    return this.#saved.has(key) || this.#host.isHeld(key);
  }

  save(held: HeldRun, urgency: Urgency): void {
    this.#saved.set(held.key, held);
    this.effects.push({ do: "save", held, urgency });
  }

  do(effect: Effect): void {
    this.effects.push(effect);
  }
}
