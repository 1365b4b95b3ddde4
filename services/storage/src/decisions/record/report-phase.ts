import { RunPhase } from "@berth/contracts/agent";
import type { Phase } from "../../domain/report-event.ts";

const phases: Readonly<Record<string, Phase>> = {
  [RunPhase.ACCEPTED]: "accepted",
  [RunPhase.PREPARING]: "preparing",
  [RunPhase.RUNNING]: "running",
  [RunPhase.SUSPENDED]: "suspended",
  [RunPhase.ENDED]: "ended",
  [RunPhase.REFUSED]: "refused",
};

/** How far an agent says that a run is; undefined for a word of a newer one. */
export const phaseFromWire = (phase: RunPhase): Phase | undefined => phases[phase];
