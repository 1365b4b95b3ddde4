import type { Blame, Resources } from "@berth/core";
import type { HostFacts } from "./feed.ts";
import { HostIndex } from "./host-index.ts";

export interface Host {
  readonly slot: number;
  readonly id: string;
  /** Undefined until the feed brings the host's own row. */
  facts: HostFacts | undefined;
  /** Needs of the placed, running and suspended tasks there. */
  usedCpuMilli: number;
  usedMemoryBytes: number;
  liveTasks: number;
  /** Nothing is placed there before this time, because the host refused a task. */
  restUntilMs: number;
  /** Consecutive bursts of refusals. */
  refusals: number;
  /** Number of rests. It tells refusals of placements made before a rest from those made after it. */
  rests: number;
  /** Users whose tasks it refused because of what they have there. */
  readonly userRests: Map<string, UserRest>;
  /** Limit of tasks it gets beyond what fits. */
  aheadAtMost: number;
}

interface UserRest {
  untilMs: number;
  refusals: number;
  rests: number;
  /** Whether one of these refusals was blamed on the host. */
  againstHost: boolean;
}

/** The circumstances of a placement, to judge its refusal later. */
export interface PlacedAs {
  /** It was placed ahead: to wait on the host, because it did not fit yet. */
  readonly ahead: boolean;
  /** How often the host, and the user on it, had rested. */
  readonly rests: number;
  readonly userRests: number;
}

/**
 * Limit of a host's lead: short tasks placed there beyond what runs, as a multiple of its capacity. The host starts the next one the moment that one ends.
 * Without a lead, the host would be idle after each task of a millisecond until the database has placed the next one. (HyperQueue's workers prefetch for the
 * same reason.)
 */
export const longestLead = 64;

const shortestRestMs = 500;
const longestRestMs = 30_000;
/** Limit of tasks that wait on one host: each may wait for a second, and a host starts some hundreds per second. */
const mostAhead = 512;

const restMs = (refusals: number): number => Math.min(shortestRestMs * 2 ** Math.min(refusals - 1, 10), longestRestMs);

/** The hosts, their free amounts, and indexes to find a host by. */
export class Hosts {
  readonly #slots: Host[] = [];
  readonly #byId = new Map<string, Host>();
  readonly #free = new HostIndex();
  readonly #lead = new HostIndex();
  readonly #capacity = new HostIndex();
  readonly #resting = new Set<Host>();
  readonly #usersResting = new Set<Host>();
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
    if (host.facts?.journalId !== facts.journalId) {
      host.userRests.clear();
      this.#rested(host);
    }
    host.facts = facts;
    this.#capacity.set(host.slot, facts.capacity.cpuMilli, facts.capacity.memoryBytes);
    this.#index(host);
  }

  /** The host with that id. An unknown one is added, and closed until its row arrives. */
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
      rests: 0,
      userRests: new Map(),
      aheadAtMost: mostAhead,
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

  /** When the newest host was first seen. */
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

  /** The first open host from `slot` on with enough free; undefined if there is none. */
  nextFitting(slot: number, needs: Resources): Host | undefined {
    const found = this.#free.next(slot, needs.cpuMilli, needs.memoryBytes);
    return found < 0 ? undefined : this.#slots[found];
  }

  /** Like nextFitting, for short tasks: the lead counts as free. */
  nextLeading(slot: number, needs: Resources): Host | undefined {
    const found = this.#lead.next(slot, needs.cpuMilli, needs.memoryBytes);
    return found < 0 ? undefined : this.#slots[found];
  }

  /** Whether a known host would be large enough if empty. */
  anyLargeEnough(needs: Resources): boolean {
    return this.#capacity.next(0, needs.cpuMilli, needs.memoryBytes) >= 0;
  }

  /** Whether a host that is up, other than these, would be large enough if empty. */
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

  /** The circumstances of placing a task of that user there now. */
  placedAs(host: Host, user: string, ahead: boolean): PlacedAs {
    return { ahead, rests: host.rests, userRests: host.userRests.get(user)?.rests ?? 0 };
  }

  /**
   * Records a refusal. The host rests, longer each time in a row, so that a host that takes nothing cannot drain the whole queue. It rests for that user only,
   * and for all users once tasks of two users were refused, so that one user cannot keep a host from the others. A refusal of a placement made before the rest
   * began belongs to the same burst and counts no more.
   */
  refusedBy(host: Host, user: string, blame: Blame, as: PlacedAs, nowMs: number): void {
    if (blame === "moment") return this.#hadNoRoom(host, as, nowMs);
    const rest = host.userRests.get(user) ?? { untilMs: 0, refusals: 0, rests: 0, againstHost: false };
    if (as.userRests < rest.rests) return;
    rest.refusals++;
    rest.rests++;
    rest.untilMs = nowMs + restMs(rest.refusals);
    rest.againstHost ||= blame === "host";
    host.userRests.set(user, rest);
    this.#usersResting.add(host);
    if (blame === "host" && [...host.userRests.values()].filter(({ againstHost }) => againstHost).length > 1)
      this.#rest(host, as, nowMs);
  }

  #hadNoRoom(host: Host, as: PlacedAs, nowMs: number): void {
    if (!as.ahead) return this.#rest(host, as, nowMs);
    if (as.rests < host.rests) return;
    host.rests++;
    // What fits still goes there; only the lead shrinks.
    host.aheadAtMost = Math.floor(host.aheadAtMost / 2);
  }

  #rest(host: Host, as: PlacedAs, nowMs: number): void {
    if (as.rests < host.rests) return;
    host.rests++;
    host.refusals++;
    host.restUntilMs = nowMs + restMs(host.refusals);
    this.#resting.add(host);
    this.#index(host);
  }

  /** A task of that user started there, so the refusals are over. */
  startedOn(host: Host, user: string): void {
    if (host.refusals > 0) this.#rested(host);
    if (host.aheadAtMost < mostAhead) host.aheadAtMost++;
    host.userRests.delete(user);
  }

  /** Whether an open host rests for this user. */
  restsFor(user: string): boolean {
    for (const host of this.#usersResting) if (isRestingFor(host, user)) return true;
    return false;
  }

  /** Opens hosts whose rest is over. Answers whether any still rests. */
  tick(nowMs: number): boolean {
    for (const host of this.#resting) {
      if (host.restUntilMs > nowMs) continue;
      this.#resting.delete(host);
      host.restUntilMs = 0;
      this.#index(host);
    }
    for (const host of this.#usersResting) {
      let rests = false;
      for (const rest of host.userRests.values()) {
        if (rest.untilMs > nowMs) rests = true;
        else rest.untilMs = 0;
      }
      if (!rests) this.#usersResting.delete(host);
    }
    return this.#resting.size + this.#usersResting.size > 0;
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

/** Whether the host rests for this user. */
export const isRestingFor = (host: Host, user: string): boolean => (host.userRests.get(user)?.untilMs ?? 0) > 0;

/** The lead of a host as a multiple of its capacity, by cpu or memory, whichever is larger. */
export const leadOf = (host: Host): number => {
  const { cpuMilli, memoryBytes } = host.facts!.capacity;
  return Math.max(0, -freeCpuMilli(host) / cpuMilli, -freeMemoryBytes(host) / memoryBytes);
};

/** How many tasks it has beyond what it can run, if all were like this one. */
export const tasksAhead = (host: Host, { cpuMilli, memoryBytes }: Resources): number => {
  const { capacity } = host.facts!;
  const atOnce = Math.min(capacity.cpuMilli / Math.max(cpuMilli, 1), capacity.memoryBytes / Math.max(memoryBytes, 1));
  return host.liveTasks - Math.floor(atOnce);
};

export const freeCpuMilli = (host: Host): number =>
  host.facts === undefined ? 0 : host.facts.capacity.cpuMilli - host.facts.unknownUse.cpuMilli - host.usedCpuMilli;

export const freeMemoryBytes = (host: Host): number =>
  host.facts === undefined
    ? 0
    : host.facts.capacity.memoryBytes - host.facts.unknownUse.memoryBytes - host.usedMemoryBytes;

/** The required features that the host's driver lacks. */
export const missingFeatures = (host: Host, required: readonly string[]): readonly string[] =>
  required.length === 0 ? required : required.filter((feature) => !host.facts?.features.includes(feature));
