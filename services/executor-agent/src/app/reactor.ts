import type { RunVerdict, SyncReply } from "@berth/contracts/agent";
import { isSoundRun, runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { DriverEvent } from "@berth/plugins";
import { admit, tooLong } from "../domain/admission.ts";
import type { Host } from "../domain/admission.ts";
import { isLive, isOfThisLife } from "../domain/held-run.ts";
import type { Answer, HeldRun } from "../domain/held-run.ts";
import { askEveryMs, isToStand, onLease, renewed } from "../domain/lease.ts";
import { deadlineOf, nextSteps } from "../domain/steps.ts";
import type { Now, StepName } from "../domain/steps.ts";
import * as transition from "../domain/transitions.ts";
import { Draft } from "./draft.ts";
import type { HostState } from "./draft.ts";
import type { Effect } from "./effects.ts";
import type { Offers } from "./offers.ts";
import { runEventOf } from "./run-event.ts";
import { verdictOf } from "./verdict.ts";

// The agent's reactions: the host's state and an event in, effects out. Nothing here reads a clock, waits, or changes anything.

/** The driver told what happened to runs. */
export function onEvents(host: HostState, events: readonly DriverEvent[], now: Now): readonly Effect[] {
  const draft = new Draft(host);
  const settled: Run[] = [];
  let someOver = false;
  for (const event of events) {
    const { run } = event;
    const key = runKey(run);
    const known = draft.get(key);
    if (!known && draft.isHeld(key)) {
      settled.push(run);
      continue;
    }
    if (!known) draft.do({ do: "note", note: "adopted", run });
    const held = known ?? adoptedFrom(event);
    const next = transition.onRunEvent(held, runEventOf(event), now);
    if (next === known) continue;
    if (isLive(next)) {
      draft.save(next, isOfThisLife(next) ? "memory" : "soon");
      draft.do({ do: "report", keys: [key] });
      if (next.stop || isToStand(next)) draft.save(next, "now");
    } else {
      someOver = true;
      draft.save(next, "now");
      draft.do({ do: "over", held: next });
    }
  }
  // The server has stored the ends of these. The agent died before it could tell the driver so.
  if (settled.length > 0) draft.do({ do: "settleAgain", runs: settled });
  if (someOver) {
    draft.do({ do: "commit" });
    draft.do({ do: "startWaiting" });
  }
  return draft.effects;
}

/**
 * A run that the journal does not have. It stays frozen until the server says why it is: its lease may have ended, and its task may already run elsewhere. So does a
 * run with a lease that only the lost journal knew the end of.
 */
function adoptedFrom(event: DriverEvent): HeldRun {
  const frozen = event.kind === "found" && (event.suspended || event.leased === true);
  return { ...transition.adopted(runKey(event.run), event.run), frozen };
}

/** The driver's first batch, after `onEvents` took it: a run that it does not name is not on this host. */
export function onFirstBatch(host: HostState, found: readonly DriverEvent[], now: Now): readonly Effect[] {
  const effects: Effect[] = [];
  const named = new Set(found.map(({ run }) => runKey(run)));
  const keys: string[] = [];
  for (const held of host.values()) {
    keys.push(held.key);
    // An overdue run is frozen before anything else is done: the server may soon run its task elsewhere.
    const judged = onLease(isLive(held) && !named.has(held.key) ? transition.onAbsent(held, now) : held, now);
    if (judged !== held) effects.push({ do: "save", held: judged, urgency: "now" });
  }
  // Acts on all of them, changed or not: an end may be unreported, a stop may not have been carried out.
  effects.push({ do: "commit" }, { do: "act", keys });
  // A run that waits in a lane since an earlier life of the agent: nobody here knows any more behind which run, and for how long.
  const waiting = found.flatMap((event) => (event.kind === "found" && !event.startedAt ? event.run : []));
  if (waiting.length > 0) effects.push({ do: "takeBack", runs: waiting });
  return effects;
}

/** The server answered reports of ends. */
export function onAnswers(
  host: HostState,
  answers: readonly { readonly key: string; readonly answer: Answer }[],
): readonly Effect[] {
  const effects: Effect[] = [];
  const keys: string[] = [];
  for (const { key, answer } of answers) {
    const held = host.get(key);
    if (!held) continue;
    effects.push({ do: "save", held: transition.onAnswer(held, answer), urgency: "memory" });
    keys.push(key);
  }
  effects.push({ do: "act", keys });
  return effects;
}

/** The server answered the sync that was sent at `askedElapsedMs`; `missing`: specs of runs that this host has without one. */
export function onSyncReply(
  host: HostState,
  { verdicts, term, epoch }: Pick<SyncReply, "verdicts" | "term" | "epoch">,
  missing: Offers | undefined,
  askedElapsedMs: number,
  now: Now,
): readonly Effect[] {
  const draft = new Draft(host);
  draft.do({ do: "heard", askedElapsedMs, epoch });
  takeVerdicts(draft, verdicts, askedElapsedMs, now);
  const heardElapsedMs = Math.max(host.heardElapsedMs, askedElapsedMs);
  const seen = missing && takeOffers({ ...seenBy(host), heardElapsedMs }, draft, missing, now);
  const seenTerm = Math.max(host.termOf(epoch), seen?.epoch === epoch ? seen.term : 0);
  if (term > seenTerm) draft.do({ do: "takeOver", runs: [], term: { epoch, term } });
  return draft.effects;
}

function takeVerdicts(draft: Draft, verdicts: readonly RunVerdict[], askedElapsedMs: number, now: Now): void {
  const leased: HeldRun[] = [];
  let urgent = false;
  for (const wire of verdicts) {
    const { run } = wire;
    const verdict = run && verdictOf(wire);
    if (!run || !verdict || !isSoundRun(run)) continue;
    const key = runKey(run);
    const held = draft.get(key);
    if (!held && (verdict.kind !== "stop" || draft.isHeld(key))) continue;
    let next = held ? transition.onVerdict(held, verdict, now.at) : transition.neverStarted(key, run, now.at);
    if (verdict.kind !== "stop" && verdict.kind !== "unknown") next = renewed(next, askedElapsedMs, now);
    if (verdict.kind !== "stop" && next.needs.leaseMs > 0 && isLive(next)) leased.push(next);
    if (next === held) continue;
    if (next.stop !== held?.stop) draft.do({ do: "note", note: "toldToStop", run, reason: wire.reason });
    if (!next.known && held?.known) draft.do({ do: "note", note: "quarantined", run });
    const isUrgent = !held || !isOnlyRenewed(held, next);
    draft.save(next, isUrgent ? "now" : "soon");
    urgent ||= isUrgent;
  }
  if (urgent) draft.do({ do: "commit" });
  if (leased.length > 0) draft.do({ do: "extendLeases", runs: leased });
}

/** The change needs no step, and an agent that loses it in a crash only freezes the run a little early. */
const isOnlyRenewed = (before: HeldRun, next: HeldRun): boolean =>
  before.phase === next.phase &&
  before.stop === next.stop &&
  before.frozen === next.frozen &&
  before.wish === next.wish &&
  before.known === next.known &&
  before.answer === next.answer;

/** The server offers new runs. */
export function onAssign(host: HostState, offers: Offers, now: Now): readonly Effect[] {
  const draft = new Draft(host);
  takeOffers(seenBy(host), draft, offers, now);
  return draft.effects;
}

const seenBy = (host: HostState): Omit<Host, "isHeld"> => ({
  journalId: host.journalId,
  termOf: (epoch) => host.termOf(epoch),
  capacity: host.capacity,
  canSuspend: host.canSuspend,
  heardElapsedMs: host.heardElapsedMs,
  waiting: host.waiting,
});

/** Takes over what is new, or refuses it; returns the newest term of that epoch. */
function takeOffers(
  host: Omit<Host, "isHeld">,
  draft: Draft,
  { offers, term }: Offers,
  now: Now,
): { readonly epoch: string; readonly term: number } {
  // Runs that were found without their spec: from now on their limits and their lease hold, and they count against the host's capacity.
  const completed = offers.flatMap(({ run, specId, needs }): HeldRun[] => {
    const held = draft.get(runKey(run));
    return held && held.specId === undefined && isLive(held)
      ? [{ ...held, specId, needs, frozen: held.frozen && needs.leaseMs > 0, renewedElapsedMs: host.heardElapsedMs }]
      : [];
  });
  // A message may take longer to arrive than its run's lease. Such a run is taken over frozen: it starts only after a sync has renewed the lease.
  const taken = admit(offers, term, { ...host, isHeld: (key) => draft.isHeld(key) }, now.at).map((held) =>
    onLease(held, now),
  );
  const runs = [...taken, ...completed];
  const epoch = offers[0]?.run.epoch ?? "";
  const isNewer = term > host.termOf(epoch);
  if (runs.length > 0 || isNewer) draft.do({ do: "takeOver", runs, term: isNewer ? { epoch, term } : undefined });
  const everyMs = askEveryMs(runs);
  if (everyMs < Infinity)
    draft.do({ do: "syncWithin", ms: Math.max(0, host.heardElapsedMs + everyMs - now.elapsedMs) });
  for (const { run, phase } of taken) {
    if (phase.kind !== "refused") continue;
    draft.do({ do: "countRefusal", code: phase.reason.code });
    draft.do({ do: "note", note: "refused", run, reason: phase.reason.code });
  }
  return { epoch, term };
}

/** A time limit, a lease or a grace may have ended. */
export function onDeadline(host: HostState, now: Now): readonly Effect[] {
  const effects: Effect[] = [];
  const due: string[] = [];
  let earliest = Infinity;
  for (const held of host.values()) {
    const next = onLease(transition.onTimeLimit(held, now), now);
    if (next !== held) effects.push({ do: "save", held: next, urgency: "now" });
    const deadline = deadlineOf(next) ?? Infinity;
    if (deadline <= now.elapsedMs) due.push(held.key);
    else earliest = Math.min(earliest, deadline);
  }
  effects.push({ do: "nextDeadline", elapsedMs: earliest }, { do: "commit" }, { do: "act", keys: due });
  return effects;
}

/** What was decided for these runs is on disk: their next steps, all of one kind together. */
export function onSaved(host: HostState, keys: readonly string[], now: Now): readonly Effect[] {
  const effects: Effect[] = [];
  const steps = new Map<StepName, string[]>();
  const can = { suspend: host.canSuspend };
  for (const key of keys) {
    const held = host.get(key);
    if (!held) continue;
    for (const { name } of nextSteps(held, now, can)) {
      // The stage changes before the signal is sent, so that an event in between does not send it twice. A signal that failed is sent again after the same time as
      // one without effect.
      if (name === "term" || name === "kill")
        effects.push({ do: "save", held: transition.onSignalled(held, name, now), urgency: "soon" });
      const its = steps.get(name);
      if (its) its.push(key);
      else steps.set(name, [key]);
    }
  }
  for (const [name, its] of steps) effects.push({ do: name, keys: its });
  return effects;
}

/** Runs are handed to the driver: to be started at once, or in a lane. In memory only, because the driver knows after a restart whether they began. */
export function onHandedOver(
  host: HostState,
  runs: readonly { readonly key: string; readonly inLane: boolean }[],
): readonly Effect[] {
  return runs.flatMap(({ key, inLane }): Effect[] => {
    const held = host.get(key);
    const phase = inLane ? ({ kind: "queued" } as const) : ({ kind: "starting", detail: "" } as const);
    return held ? [{ do: "save", held: { ...held, phase }, urgency: "memory" }] : [];
  });
}

/** The driver has these runs. A stop that came while it took them over is carried out now. */
export const onTaken = (host: HostState, keys: readonly string[]): readonly Effect[] => [
  { do: "act", keys: keys.filter((key) => host.get(key)?.stop) },
];

/** The run before it in its lane is over: it takes that run's place. */
export function onTurn(host: HostState, key: string): readonly Effect[] {
  const held = host.get(key);
  return held ? [{ do: "save", held: transition.onTurn(held), urgency: "memory" }] : [];
}

/** Runs that waited too long for room are refused: another host may have some. */
export function onWaitedTooLong(host: HostState, keys: readonly string[], now: Now): readonly Effect[] {
  const reason = tooLong("other tasks of this host took longer than expected");
  return keys.flatMap((key): Effect[] => {
    const held = host.get(key);
    if (held?.phase.kind !== "accepted") return [];
    return [{ do: "save", held: { ...held, phase: { kind: "refused", reason, refusedAt: now.at } }, urgency: "now" }];
  });
}

/** The driver has suspended or resumed a run. */
export function onPaused(host: HostState, key: string, paused: boolean): readonly Effect[] {
  const held = host.get(key);
  if (!held) return [];
  return [
    { do: "save", held: transition.onPaused(held, paused), urgency: "now" },
    { do: "reportNow", key },
  ];
}
