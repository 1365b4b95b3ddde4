import { formatCpu, formatMemory, runKey } from "@berth/core";
import type { Reason, Resources, Run } from "@berth/core";
import type { HeldRun, Needs } from "./held-run.ts";

/** Most runs that wait on a host. The scheduler sends only a moment's work ahead, so more are a fault. */
const maxWaiting = 8_192;

/** A run that is offered to this host. */
export interface Offer {
  readonly run: Run;
  readonly specId: number;
  readonly needs: Needs;
  /** The id of the journal that the scheduler placed it for. */
  readonly journalId: string;
}

export interface Host {
  readonly journalId: string;
  /** Largest term seen in an epoch; 0 if none was. */
  termOf(epoch: string): number;
  readonly capacity: Resources;
  /** Whether the driver can suspend a run. */
  readonly canSuspend: boolean;
  /** When the last sync was sent that the server answered, on the elapsed clock. Leases of new runs start there. */
  readonly heardElapsedMs: number;
  /** How many runs wait here for capacity. */
  readonly waiting: number;
  /** Whether the journal has the run, or had it within the last hour. */
  isHeld(key: string): boolean;
}

/**
 * Accepts each new run among the offers, or refuses it with a reason. Skips a run that the journal has in any phase: a repeated offer must not start it again.
 * The agent journals and reports a refusal as it does an end.
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

/** The reason of a run that is refused because it waited too long. */
export const tooLong = (message: string): Reason => ({ code: "OVER_CAPACITY", message });
