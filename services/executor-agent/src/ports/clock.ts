import type { Now } from "../domain/steps.ts";

/** The host's clocks. */
export interface Clock {
  now(): Now;
  /** Another one after each boot. */
  readonly bootId: string;
}
