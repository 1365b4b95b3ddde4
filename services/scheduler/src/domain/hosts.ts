import type { Resources } from "@berth/core";
import type { HostFacts } from "./feed.ts";
import { HostIndex } from "./host-index.ts";

/** A host in the planner's memory. */
export interface Host {
  readonly slot: number;
  readonly id: string;
  /** Undefined while only tasks placed there are known. */
  facts: HostFacts | undefined;
  /** What placed, running and suspended tasks there need. */
  usedCpuMilli: number;
  usedMemoryBytes: number;
  liveTasks: number;
  /** It refused a task lately: nothing is placed there before this time. */
  restUntilMs: number;
  /** Refusals in a row. */
  refusals: number;
}

/**
 * How many times its capacity a host may be given in short tasks beyond what runs there; they wait on the host, which starts the next one the moment that one
 * ends. Without a lead, a task of a millisecond costs its host the whole way to the database and back, idle. (HyperQueue's workers prefetch for the same reason.)
 */
export const longestLead = 64;

const shortestRestMs = 500;
const longestRestMs = 30_000;

/** The hosts, what is free on them, and the indexes to find one by. */
export class Hosts {
  readonly #slots: Host[] = [];
  readonly #byId = new Map<string, Host>();
  readonly #free = new HostIndex();
  readonly #lead = new HostIndex();
  readonly #capacity = new HostIndex();
  readonly #resting = new Set<Host>();
  readonly #required: readonly string[];
  #known = 0;
  #newestAtMs = 0;

  /** Hosts without the required features get no tasks. */
  constructor(requiredFeatures: readonly string[] = []) {
    this.#required = requiredFeatures;
  }

  apply(facts: HostFacts, nowMs: number): void {
    const host = this.of(facts.id);
    if (host.facts && facts.revision <= host.facts.revision) return;
    if (!host.facts) {
      this.#known++;
      this.#newestAtMs = nowMs;
    }
    if (host.facts?.journalId !== facts.journalId) this.#rested(host);
    host.facts = facts;
    this.#capacity.set(host.slot, facts.capacity.cpuMilli, facts.capacity.memoryBytes);
    this.#index(host);
  }

  /** The host with that id; made where it is not known yet, closed until its facts come. */
  of(id: string): Host {
    const known = this.#byId.get(id);
    if (known) return known;
    const host: Host = {
      slot: this.#slots.length,
      id,
      facts: undefined,
      usedCpuMilli: 0,
      usedMemoryBytes: 0,
      liveTasks: 0,
      restUntilMs: 0,
      refusals: 0,
    };
    this.#slots.push(host);
    this.#byId.set(id, host);
    return host;
  }

  at(slot: number): Host {
    return this.#slots[slot]!;
  }

  /** All hosts whose facts are known. */
  *known(): Generator<Host> {
    for (const host of this.#slots) if (host.facts) yield host;
  }

  get count(): number {
    return this.#known;
  }

  /** When a host was last met for the first time. */
  get newestAtMs(): number {
    return this.#newestAtMs;
  }

  take(host: Host, needs: Resources): void {
    host.usedCpuMilli += needs.cpuMilli;
    host.usedMemoryBytes += needs.memoryBytes;
    host.liveTasks++;
    this.#index(host);
  }

  give(host: Host, needs: Resources): void {
    host.usedCpuMilli -= needs.cpuMilli;
    host.usedMemoryBytes -= needs.memoryBytes;
    host.liveTasks--;
    this.#index(host);
  }

  /** The first open host from `slot` on with that much free; undefined where there is none. */
  nextFitting(slot: number, needs: Resources): Host | undefined {
    const found = this.#free.next(slot, needs.cpuMilli, needs.memoryBytes);
    return found < 0 ? undefined : this.#slots[found];
  }

  /** As nextFitting, for short tasks: hosts count with their lead. */
  nextLeading(slot: number, needs: Resources): Host | undefined {
    const found = this.#lead.next(slot, needs.cpuMilli, needs.memoryBytes);
    return found < 0 ? undefined : this.#slots[found];
  }

  /** Whether any known host, were it empty, could hold that much. */
  anyLargeEnough(needs: Resources): boolean {
    return this.#capacity.next(0, needs.cpuMilli, needs.memoryBytes) >= 0;
  }

  /** Whether a host that is up, and none of these, could hold that much, were it empty. */
  anyOtherLargeEnough(ids: readonly string[], needs: Resources): boolean {
    for (
      let slot = this.#capacity.next(0, needs.cpuMilli, needs.memoryBytes);
      slot >= 0;
      slot = this.#capacity.next(slot + 1, needs.cpuMilli, needs.memoryBytes)
    ) {
      const host = this.#slots[slot]!;
      if (host.facts?.up === true && !ids.includes(host.id)) return true;
    }
    return false;
  }

  /** The host refused a task: it rests, longer each time in a row, so that one host that takes nothing cannot draw the whole queue. */
  refusedBy(host: Host, nowMs: number): void {
    host.refusals++;
    host.restUntilMs = nowMs + Math.min(shortestRestMs * 2 ** Math.min(host.refusals - 1, 10), longestRestMs);
    this.#resting.add(host);
    this.#index(host);
  }

  /** A task started there: it is well. */
  startedOn(host: Host): void {
    if (host.refusals > 0) this.#rested(host);
  }

  /** Opens hosts that have rested enough; whether any still rests. */
  tick(nowMs: number): boolean {
    for (const host of this.#resting) {
      if (host.restUntilMs > nowMs) continue;
      this.#resting.delete(host);
      host.restUntilMs = 0;
      this.#index(host);
    }
    return this.#resting.size > 0;
  }

  #rested(host: Host): void {
    host.refusals = 0;
    host.restUntilMs = 0;
    this.#resting.delete(host);
    this.#index(host);
  }

  #index(host: Host): void {
    const open =
      host.facts?.up === true && host.restUntilMs === 0 && missingFeatures(host, this.#required).length === 0;
    if (!open) {
      this.#free.set(host.slot, -1, -1);
      this.#lead.set(host.slot, -1, -1);
      return;
    }
    const { cpuMilli, memoryBytes } = host.facts!.capacity;
    this.#free.set(host.slot, freeCpuMilli(host), freeMemoryBytes(host));
    this.#lead.set(
      host.slot,
      freeCpuMilli(host) + longestLead * cpuMilli,
      freeMemoryBytes(host) + longestLead * memoryBytes,
    );
  }
}

/** How many times its capacity a host has been given ahead; of cpu or memory, whichever is more. */
export const leadOf = (host: Host): number => {
  const { cpuMilli, memoryBytes } = host.facts!.capacity;
  return Math.max(0, -freeCpuMilli(host) / cpuMilli, -freeMemoryBytes(host) / memoryBytes);
};

export const freeCpuMilli = (host: Host): number =>
  host.facts === undefined ? 0 : host.facts.capacity.cpuMilli - host.facts.unknownUse.cpuMilli - host.usedCpuMilli;

export const freeMemoryBytes = (host: Host): number =>
  host.facts === undefined
    ? 0
    : host.facts.capacity.memoryBytes - host.facts.unknownUse.memoryBytes - host.usedMemoryBytes;

/** Those of `required` that the host's driver lacks. */
export const missingFeatures = (host: Host, required: readonly string[]): readonly string[] =>
  required.length === 0 ? required : required.filter((feature) => !host.facts?.features.includes(feature));
