import { formatCpu, formatMemory, runKey } from "@berth/core";
import type { Reason, Resources, Run } from "@berth/core";
import type { HeldRun, Needs } from "./held-run.ts";

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
  /** Largest term seen so far. */
  readonly term: number;
  readonly capacity: Resources;
  /** What live runs ask for, unknown ones included. */
  readonly used: Resources;
  /** Whether the journal has it, settled ones of the last hour included. */
  isHeld(key: string): boolean;
}

/**
 * Takes over what is new among the offers, or refuses it with a reason. A run that is in the journal, in whatever phase, is passed over: it was answered
 * once, and is never started again. Refusals are ends like others: they are journalled and reported.
 */
export function admit(offers: readonly Offer[], term: number, host: Host, now: Date): HeldRun[] {
  let { cpuMilli, memoryBytes } = host.used;
  const taken = new Map<string, HeldRun>();
  for (const { run, specId, needs, journalId } of offers) {
    const key = runKey(run);
    if (taken.has(key) || host.isHeld(key)) continue;
    const reason = refusal(needs.resources, journalId, term, host, { cpuMilli, memoryBytes });
    if (!reason) {
      cpuMilli += needs.resources.cpuMilli;
      memoryBytes += needs.resources.memoryBytes;
    }
    taken.set(key, {
      key,
      run,
      specId,
      needs,
      phase: reason ? { kind: "refused", reason, refusedAt: now } : { kind: "accepted" },
      stop: undefined,
      wish: "run",
      known: true,
      answer: undefined,
    });
  }
  return [...taken.values()];
}

function refusal(asked: Resources, journalId: string, term: number, host: Host, used: Resources): Reason | undefined {
  if (term < host.term) {
    return { code: "STALE_TERM", message: `placed by the leader of term ${term}; this host has seen term ${host.term}` };
  }
  if (journalId !== host.journalId) {
    return { code: "OTHER_JOURNAL", message: "placed for an earlier journal of this host" };
  }
  if (used.cpuMilli + asked.cpuMilli > host.capacity.cpuMilli) {
    return { code: "OVER_CAPACITY", message: `${formatCpu(Math.max(0, host.capacity.cpuMilli - used.cpuMilli))} processors are free, ${formatCpu(asked.cpuMilli)} are asked` };
  }
  if (used.memoryBytes + asked.memoryBytes > host.capacity.memoryBytes) {
    return { code: "OVER_CAPACITY", message: `${formatMemory(Math.max(0, host.capacity.memoryBytes - used.memoryBytes))} of memory are free, ${formatMemory(asked.memoryBytes)} are asked` };
  }
  return undefined;
}
