import type { Usage } from "@berth/contracts/types";
import type { SpecColumns } from "./columns.ts";

/** The usage that a finished run is charged with. */
export interface Charge {
  readonly user: string;
  readonly project: string;
  readonly endedAt: number;
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly cpuMilli: number;
  readonly memoryBytes: number;
}

type Payer = Pick<SpecColumns, "user" | "project" | "cpu_milli" | "memory_bytes">;

/** Sums of what agents say stay safe integers. */
export const sumUp = (n: number): number => Math.min(Math.round(n), Number.MAX_SAFE_INTEGER);

/** The charge for a run of that spec with that usage. */
export const chargeOf = (spec: Payer, usage: Usage, endedAt: number): Charge => ({
  user: spec.user,
  project: spec.project,
  endedAt,
  cpuMs: usage.cpuMs,
  wallMs: usage.wallMs,
  cpuMilli: spec.cpu_milli,
  memoryBytes: spec.memory_bytes,
});
