import type { Blame, Resources } from "@berth/core";
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
  /** Bursts of refusals in a row. */
  refusals: number;
  /** Grows with each rest: tells refusals of placements that were made before a rest from those made after it. */
  rests: number;
  /** Users whose tasks it refused lately, because of what they have there. */
  readonly userRests: Map<string, UserRest>;
  /** How many tasks it is given beyond what fits, at the most. */
  aheadAtMost: number;
}

interface UserRest {
  untilMs: number;
  refusals: number;
  rests: number;
  /** Whether one of those refusals spoke against the host as such. */
  againstHost: boolean;
}

/** What a placement was made by, to tell later what its refusal says. */
export interface PlacedAs {
  /** It did not fit beside what the host had: it was to wait there for its turn. */
  readonly ahead: boolean;
  /** How often the host, and there the user, had rested. */
  readonly rests: number;
  readonly userRests: number;
}

/**
 * How many times its capacity a host may be given in short tasks beyond what runs there; they wait on the host, which starts the next one the moment that one
 * ends. Without a lead, a task of a millisecond costs its host the whole way to the database and back, idle. (HyperQueue's workers prefetch for the same reason.)
 */
export const longestLead = 64;

const shortestRestMs = 500;
const longestRestMs = 30_000;
/** More tasks than these wait on no host: each has a second, and a host starts some hundreds in it. */
const mostAhead = 512;

const restMs = (refusals: number): number => Math.min(shortestRestMs * 2 ** Math.min(refusals - 1, 10), longestRestMs);

/** The hosts, what is free on them, and the indexes to find one by. */
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

  /** As what a task of that user would be placed there now. */
  placedAs(host: Host, user: string, ahead: boolean): PlacedAs {
    return { ahead, rests: host.rests, userRests: host.userRests.get(user)?.rests ?? 0 };
  }

  /**
   * The host refused a task. It rests, longer each time in a row, so that a host that takes nothing cannot draw the whole queue: for that user, and for everybody once
   * tasks of two users speak against it, so that no user alone can keep a host from the others. What was placed before a rest and is refused after it began is of the
   * same burst, and counts no more.
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
    // What fits at once still goes there; it is only given less beyond that.
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

  /** A task of that user started there: it is well. */
  startedOn(host: Host, user: string): void {
    if (host.refusals > 0) this.#rested(host);
    if (host.aheadAtMost < mostAhead) host.aheadAtMost++;
    host.userRests.delete(user);
  }

  /** Whether some host takes nothing of that user now, though it is open to others. */
  restsFor(user: string): boolean {
    for (const host of this.#usersResting) if (isRestingFor(host, user)) return true;
    return false;
  }

  /** Opens hosts that have rested enough; whether any still rests. */
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

/** Whether the host refused that user's tasks lately, and takes none of them now. */
export const isRestingFor = (host: Host, user: string): boolean => (host.userRests.get(user)?.untilMs ?? 0) > 0;

/** How many times its capacity a host has been given ahead; of cpu or memory, whichever is more. */
export const leadOf = (host: Host): number => {
  const { cpuMilli, memoryBytes } = host.facts!.capacity;
  return Math.max(0, -freeCpuMilli(host) / cpuMilli, -freeMemoryBytes(host) / memoryBytes);
};

/** How many tasks it has beyond what it could run at once, were all of them like this one. */
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

/** Those of `required` that the host's driver lacks. */
export const missingFeatures = (host: Host, required: readonly string[]): readonly string[] =>
  required.length === 0 ? required : required.filter((feature) => !host.facts?.features.includes(feature));
