import type { Now } from "../domain/steps.ts";

/** The host's clocks. */
export interface Clock {
  now(): Now;
  /** Changes with each boot. */
  readonly bootId: string;
}
