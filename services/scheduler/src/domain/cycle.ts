import { withoutAvoiding, isOfCapacity, standardFilters } from "./filters.ts";
import type { TaskProfile, Filter } from "./filters.ts";
import { Heap } from "./heap.ts";
import { freeCpuMilli, leadOf, tasksAhead } from "./hosts.ts";
import type { Host } from "./hosts.ts";
import type { End, Placement, Plan } from "./plan.ts";
import type { Queue } from "./queue.ts";
import type { Ranking } from "./ranking.ts";
import type { TaskRecord } from "./records.ts";
import { binpack } from "./scorers.ts";
import type { Scorer } from "./scorers.ts";
import type { NeedClass, Shape } from "./shapes.ts";
import { ClaimDrafts, openTurns, Turn } from "./turns.ts";
import type { UserTurns } from "./turns.ts";

export interface CyclePolicy {
  readonly ranking: Ranking;
  readonly filters: readonly Filter[];
  readonly scorer: Scorer;
  readonly limits: CycleLimits;
}

/** What bounds one cycle. */
export interface CycleLimits {
  readonly maxPlacements: number;
  readonly maxEnds: number;
  /** How many passing hosts are scored per task. */
  readonly maxCandidates: number;
  /** A task that is too large for every host is rejected only if no new host joined for this long. */
  readonly settleMs: number;
}

export const defaultLimits: CycleLimits = { maxPlacements: 2000, maxEnds: 2000, maxCandidates: 8, settleMs: 3000 };

export const policyWith = (
  ranking: Ranking,
  filters: readonly Filter[] = standardFilters,
  limits: Partial<CycleLimits> = {},
): CyclePolicy => ({
  ranking,
  filters,
  scorer: binpack,
  limits: { ...defaultLimits, ...limits },
});

/**
 * Plans one scheduling cycle. It is deterministic and does not change the queue; the caller applies `queue.hold(plan)`. Costs O(shapes that may fit +
 * placements · log hosts), however many tasks are pending.
 */
export function planCycle(queue: Queue, policy: CyclePolicy, nowMs: number, random: () => number): Plan {
  const ends = planEnds(queue, policy.limits, nowMs);
  const leads = allShort(queue);
  const draft = new Draft(queue, policy, random, leads);
  try {
    const users = openTurns(fittingShapes(queue, leads), draft.claims);
    if (policy.ranking.order) placeInOrder(draft, users, policy.ranking.order);
    else placeInRounds(draft, users, policy.ranking, nowMs);
    return { placements: draft.placements, ends, more: draft.full || ends.length >= policy.limits.maxEnds };
  } finally {
    draft.undo();
  }
}

/** Whether no known host, even empty, could meet these needs. */
export const tooLarge = (queue: Queue, needClass: NeedClass): boolean =>
  queue.hosts.count > 0 && !queue.hosts.anyLargeEnough(needClass.needs);

export const noHostLargeEnough = {
  code: "NO_HOST_LARGE_ENOUGH",
  message: "it asks for more cpu or memory than any host has",
} as const;

function planEnds(queue: Queue, limits: CycleLimits, nowMs: number): End[] {
  const ends: End[] = [];
  for (const record of queue.impossible) {
    if (ends.length >= limits.maxEnds) return ends;
    ends.push({ record, outcome: "dependency_failed", reason: record.impossible! });
  }
  if (nowMs - queue.hosts.newestAtMs < limits.settleMs) return ends;
  for (const needClass of queue.shapes.classes()) {
    if (needClass.shapes.size === 0 || !tooLarge(queue, needClass)) continue;
    for (const shape of needClass.shapes) {
      for (let at = shape.from(0); at >= 0; at = shape.from(at + 1)) {
        if (ends.length >= limits.maxEnds) return ends;
        ends.push({ record: shape.at(at), outcome: "rejected", reason: noHostLargeEnough });
      }
    }
  }
  return ends;
}

/** Whether every waiting task is short. Only then may tasks wait on a host, because otherwise a long task would find no free host. */
function allShort(queue: Queue): boolean {
  for (const needClass of queue.shapes.classes())
    for (const shape of needClass.shapes) if (!shape.short && !queue.disabledUsers.has(shape.user)) return false;
  return true;
}

/** The shapes that fit on some host. All others are parked and cost nothing; those of disabled users wait. */
function* fittingShapes(queue: Queue, leads: boolean): Generator<Shape> {
  for (const needClass of queue.shapes.classes()) {
    if (needClass.shapes.size === 0) continue;
    if (queue.hosts.nextFitting(0, needClass.needs) || (leads && queue.hosts.nextLeading(0, needClass.needs)))
      for (const shape of needClass.shapes) if (!queue.disabledUsers.has(shape.user)) yield shape;
  }
}

/** The growing plan. It reserves amounts on hosts, and releases them at the end. */
class Draft {
  readonly placements: Placement[] = [];
  readonly claims = new ClaimDrafts();
  readonly #queue: Queue;
  readonly #policy: CyclePolicy;
  readonly #random: () => number;
  readonly #unfit = new Set<NeedClass>();
  /** Whether hosts may get more tasks than they can run at the same time. */
  readonly #leads: boolean;
  readonly #leading = new Map<Host, boolean>();
  readonly #leadFilters: readonly Filter[];

  constructor(queue: Queue, policy: CyclePolicy, random: () => number, leads: boolean) {
    this.#queue = queue;
    this.#leads = leads;
    this.#policy = policy;
    this.#random = random;
    this.#leadFilters = policy.filters.filter((filter) => !isOfCapacity(filter));
  }

  get full(): boolean {
    return this.placements.length >= this.#policy.limits.maxPlacements;
  }

  /** Places the head of the turn and advances it; false if it fits nowhere. */
  place(turn: Turn): boolean {
    const { shape } = turn;
    if (this.#unfit.has(shape.needClass)) return false;
    const { hosts } = this.#queue;
    const fitting = this.#choose(shape);
    const host = fitting ?? (this.#leads ? this.#chooseLeading(shape) : undefined);
    if (!host) {
      if (shape.avoidHosts.length === 0 && !hosts.restsFor(shape.user)) this.#unfit.add(shape.needClass);
      return false;
    }
    const record: TaskRecord = turn.head;
    const index = turn.index;
    const journalId = host.facts!.journalId;
    this.placements.push({
      taskId: turn.taskId,
      attempt: index === undefined ? record.attempt + 1 : 1,
      host,
      journalId,
      as: hosts.placedAs(host, shape.user, fitting === undefined),
      record,
      index,
    });
    hosts.take(host, shape.needs);
    turn.placed(this.claims);
    return true;
  }

  /** A lead is refilled when half of it is used up, so that placements are sent in groups. Decided once per cycle, before any placement on the host. */
  #opensLead(host: Host, shape: Shape): boolean {
    const ahead = tasksAhead(host, shape.needs);
    let opens = this.#leading.get(host);
    if (opens === undefined) {
      opens = leadOf(host) <= shape.lead / 2 && ahead <= host.aheadAtMost / 2;
      this.#leading.set(host, opens);
    }
    return opens && leadOf(host) < shape.lead && ahead < host.aheadAtMost;
  }

  /** The least loaded of the hosts with room in their lead. */
  #chooseLeading(shape: Shape): Host | undefined {
    const { hosts } = this.#queue;
    const asked = withoutAvoiding(shape, hosts);
    let best: Host | undefined;
    let candidates = 0;
    for (
      let host = hosts.nextLeading(0, shape.needs);
      host && candidates < this.#policy.limits.maxCandidates;
      host = hosts.nextLeading(host.slot + 1, shape.needs)
    ) {
      if (!this.#opensLead(host, shape) || !passesAll(this.#leadFilters, asked, host)) continue;
      candidates++;
      if (!best || freeCpuMilli(host) > freeCpuMilli(best)) best = host;
    }
    return best;
  }

  undo(): void {
    for (const { host, record } of this.placements) this.#queue.hosts.give(host, record.shape.needs);
  }

  /** The best of the first passing hosts. Ties are broken at random, so that a host on which tasks fail quickly does not get them all. */
  #choose(shape: Shape): Host | undefined {
    const { filters, scorer, limits } = this.#policy;
    let best: Host | undefined;
    let bestScore = -Infinity;
    let candidates = 0;
    let equals = 1;
    const asked = withoutAvoiding(shape, this.#queue.hosts);
    let host = this.#queue.hosts.nextFitting(0, shape.needs);
    for (
      ;
      host && candidates < limits.maxCandidates;
      host = this.#queue.hosts.nextFitting(host.slot + 1, shape.needs)
    ) {
      if (!passesAll(filters, asked, host)) continue;
      candidates++;
      const score = scorer.score(shape, host);
      if (score > bestScore) {
        best = host;
        bestScore = score;
        equals = 1;
      } else if (score === bestScore && this.#random() * ++equals < 1) best = host;
    }
    return best;
  }
}

function passesAll(filters: readonly Filter[], asked: TaskProfile, host: Host): boolean {
  for (const filter of filters) if (filter.applies(asked) && !filter.passes(asked, host)) return false;
  return true;
}

/** For policies whose order does not depend on placements: always place the first of all heads. */
function placeInOrder(draft: Draft, users: readonly UserTurns[], order: NonNullable<Ranking["order"]>): void {
  const heap = new Heap<Turn>(order);
  const open = (turns: readonly Turn[]): void => turns.forEach((turn) => heap.push(turn));
  for (const user of users) open(user.nextLevel());
  for (let turn = heap.pop(); turn && !draft.full; turn = heap.pop()) {
    let fits = true;
    do {
      fits = draft.place(turn);
    } while (fits && !turn.done && !draft.full && (heap.size === 0 || order(turn, heap.peek()!) <= 0));
    if (fits && !turn.done) heap.push(turn);
    else open(turn.owner!.retire());
  }
}

/** For policies that only sort: each head has one turn, then the policy sorts again. */
function placeInRounds(draft: Draft, users: readonly UserTurns[], ranking: Ranking, nowMs: number): void {
  let active = new Set(users.flatMap((user) => user.nextLevel()));
  while (active.size > 0 && !draft.full) {
    const sorted = ranking.schedule([...active], nowMs);
    const next = new Set(active);
    let changed = false;
    for (const turn of sorted) {
      if (draft.full) return;
      if (!(turn instanceof Turn) || !active.delete(turn)) continue; // the policy answered a head that it was not given, or one twice
      changed = true;
      if (draft.place(turn) && !turn.done) continue;
      next.delete(turn);
      for (const later of turn.owner!.retire()) next.add(later);
    }
    if (!changed) return;
    active = next;
  }
}
