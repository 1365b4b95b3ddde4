import { formatCpu, formatMemory, runKey } from "@berth/core";
import type { Reason, Resources, Run } from "@berth/core";
import type { HeldRun, Needs } from "./held-run.ts";

/** More than these are not taken over: the scheduler sends no more ahead than a moment's work. */
const maxWaiting = 8_192;

/** A run that is offered to this host. */
export interface Offer {
  readonly run: Run;
  readonly specId: number;
  readonly needs: Needs;
  /** The journal it was placed for. */
  readonly journalId: string;
}

export interface Host {
  readonly journalId: string;
  /** Largest term seen so far in an epoch; 0 where none was. */
  termOf(epoch: string): number;
  readonly capacity: Resources;
  /** Whether a run can be made to stand still. */
  readonly canSuspend: boolean;
  /** When the last question was sent that the control plane answered, on the elapsed clock: leases count from there. */
  readonly heardElapsedMs: number;
  /** How many runs wait here for their turn. */
  readonly waiting: number;
  /** Whether the journal has it, settled ones of the last hour included. */
  isHeld(key: string): boolean;
}

/**
 * Takes over what is new among the offers, or refuses it with a reason. A run that is in the journal, in whatever phase, is passed over: it was answered
 * once, and is never started again. Refusals are ends like others: they are journalled and reported.
 */
export function admit(offers: readonly Offer[], term: number, host: Host, now: Date): HeldRun[] {
  let { waiting } = host;
  const taken = new Map<string, HeldRun>();
  for (const { run, specId, needs, journalId } of offers) {
    const key = runKey(run);
    if (taken.has(key) || host.isHeld(key)) continue;
    const reason = refusal(needs, journalId, { term, seen: host.termOf(run.epoch) }, host, waiting);
    if (!reason) waiting += 1;
    taken.set(key, {
      key,
      run,
      specId,
      needs,
      phase: reason ? { kind: "refused", reason, refusedAt: now } : { kind: "accepted" },
      stop: undefined,
      wish: "run",
      frozen: false,
      renewedElapsedMs: host.heardElapsedMs,
      known: true,
      answer: undefined,
    });
  }
  return [...taken.values()];
}

function refusal(
  { resources: asked, leaseMs }: Needs,
  journalId: string,
  { term, seen }: { readonly term: number; readonly seen: number },
  host: Host,
  waiting: number,
): Reason | undefined {
  if (term < seen) {
    return {
      code: "STALE_TERM",
      message: `placed by the leader of term ${term}; this host has seen term ${seen}`,
    };
  }
  if (journalId !== host.journalId) {
    return { code: "OTHER_JOURNAL", message: "placed for an earlier journal of this host" };
  }
  if (asked.cpuMilli > host.capacity.cpuMilli || asked.memoryBytes > host.capacity.memoryBytes) {
    return {
      code: "OVER_CAPACITY",
      message: `it asks for ${formatCpu(asked.cpuMilli)} processors and ${formatMemory(asked.memoryBytes)}; this host has ${formatCpu(host.capacity.cpuMilli)} and ${formatMemory(host.capacity.memoryBytes)}`,
    };
  }
  if (leaseMs > 0 && !host.canSuspend) {
    return {
      code: "CANNOT_FREEZE",
      message: "it asks to be run again if its host is lost, and this host cannot freeze it before that",
    };
  }
  return waiting >= maxWaiting ? tooLong(`${waiting} runs wait here already`) : undefined;
}

/** Why a run that waited is given back. */
export const tooLong = (message: string): Reason => ({ code: "OVER_CAPACITY", message });
