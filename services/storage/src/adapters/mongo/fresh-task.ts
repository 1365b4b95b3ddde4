import { freshRow } from "../records/columns.ts";

/** A record that was never placed. */
export const freshTask = (number: number, idx: number, user: string, state: number, leaseMs = 0) => ({
  ...freshRow(number, idx, state),
  user,
  revision: 0,
  placed_at: null,
  cpu_ms: null,
  peak_memory_bytes: null,
  wall_ms: null,
  stdout_bytes: null,
  stderr_bytes: null,
  enforced: "",
  lease_ms: leaseMs,
});
