import { unreachable } from "@berth/core";
import type { Reason, Run } from "@berth/core";
import { hasStarted, isLive, isOfThisLife, noNeeds } from "./held-run.ts";
import type { Answer, End, HeldRun, Phase, Started, StopCause } from "./held-run.ts";
import { neverMs } from "./lease.ts";
import { endOfExit, endWithoutExit } from "./outcome.ts";
import type { Exit } from "./outcome.ts";
import { limitEnd } from "./steps.ts";
import type { Now } from "./steps.ts";

/** What the server wants of a run. */
export type Verdict =
  | { readonly kind: "run" }
  | { readonly kind: "stop"; readonly cause: Exclude<StopCause, "timed_out">; readonly by: string }
  | { readonly kind: "suspend" }
  | { readonly kind: "resume" }
  | { readonly kind: "unknown" };

/** What the driver reports about a run. */
export type RunEvent =
  | { readonly kind: "preparing"; readonly detail: string }
  | { readonly kind: "started"; readonly at: Date }
  | {
      readonly kind: "found";
      readonly startedAt: Date | undefined;
      readonly suspended: boolean;
      readonly over?: boolean;
    }
  | { readonly kind: "ended"; readonly exit: Exit }
  | { readonly kind: "failed"; readonly at: Date; readonly reason: Reason }
  | { readonly kind: "unable"; readonly at: Date; readonly reason: Reason }
  | {
      readonly kind: "lost";
      readonly at: Date;
      readonly startedAt: Date | undefined;
      readonly reason: Reason;
      readonly stdoutBytes?: number;
      readonly stderrBytes?: number;
      readonly lostOutput?: End["lostOutput"];
    };

/** A run after a verdict; the same object if nothing changes. Only `stop` leads to its end. */
export function onVerdict(held: HeldRun, word: Verdict, now: Date): HeldRun {
  const known = word.kind !== "unknown";
  // An end that was answered `unknown` is reported again only once the database knows the run.
  const answer = held.answer === "unknown" && known ? undefined : held.answer;
  // The server does not run the task of an unknown run again, so the run need not stay frozen.
  const frozen = held.frozen && known;
  const next: HeldRun =
    held.known === known && held.answer === answer && held.frozen === frozen
      ? held
      : { ...held, known, answer, frozen };
  if (!isLive(held)) return next;
  switch (word.kind) {
    case "run":
    case "unknown":
      return next;
    case "suspend":
      return next.wish === "suspend" ? next : { ...next, wish: "suspend" };
    case "resume":
      return next.wish === "run" ? next : { ...next, wish: "run" };
    case "stop":
      return next.phase.kind === "accepted"
        ? { ...next, phase: beforeStart(now) }
        : decideStop(next, word.cause, word.by);
    default:
      return unreachable(word);
  }
}

/** The first decision to stop stays. */
function decideStop(held: HeldRun, cause: StopCause, by: string): HeldRun {
  if (held.stop) return held;
  return { ...held, stop: { cause, by, stage: "wanted", sentElapsedMs: 0 } };
}

/** A stop for a run that is not in the journal. The agent records that it never starts here, and reports that. */
export const neverStarted = (key: string, run: Run, now: Date): HeldRun => ({
  ...adopted(key, run),
  phase: beforeStart(now),
});

/** The driver never had it. That also holds after a restart: a run that the driver had is found, and is in phase `starting`. */
const beforeStart = (now: Date): Phase => ({
  kind: "refused",
  reason: { code: "NEVER_STARTED", message: "stopped before it was started" },
  refusedAt: now,
});

/** A run that the driver found and the journal does not have. */
export const adopted = (key: string, run: Run): HeldRun => ({
  key,
  run,
  specId: undefined,
  needs: noNeeds,
  phase: { kind: "starting", detail: "" },
  stop: undefined,
  wish: "run",
  frozen: false,
  renewedElapsedMs: neverMs,
  known: true,
  answer: undefined,
});

/** A run after an event of the driver; the same object if nothing changes. An ended run does not change. */
export function onRunEvent(held: HeldRun, news: RunEvent, now: Now): HeldRun {
  if (!isLive(held)) return held;
  switch (news.kind) {
    case "preparing":
      return hasStarted(held) ? held : { ...held, phase: { kind: "starting", detail: news.detail } };
    case "started":
      return hasStarted(held) ? held : { ...held, phase: { kind: "running", ...started(news.at, now) } };
    case "found":
      return onFound(held, news, now);
    case "ended": {
      const startedAt = news.exit.startedAt ?? startOf(held);
      const end = endOfExit({ ...news.exit, startedAt }, held.stop, held.needs);
      return { ...held, phase: { kind: "ended", end: timed(held, end, now) } };
    }
    case "failed":
      return {
        ...held,
        phase: {
          kind: "ended",
          end: endWithoutExit(
            "failed",
            news.reason,
            { startedAt: undefined, endedAt: news.at, stdoutBytes: 0, stderrBytes: 0 },
            held.stop,
            held.needs,
          ),
        },
      };
    case "unable":
      return { ...held, phase: { kind: "refused", reason: news.reason, refusedAt: news.at } };
    case "lost": {
      const rest = {
        startedAt: news.startedAt ?? startOf(held),
        endedAt: news.at,
        stdoutBytes: news.stdoutBytes,
        stderrBytes: news.stderrBytes,
        ...(news.lostOutput && { lostOutput: news.lostOutput }),
      };
      const end = endWithoutExit("lost", news.reason, rest, held.stop, held.needs);
      return { ...held, phase: { kind: "ended", end: timed(held, end, now) } };
    }
    default:
      return unreachable(news);
  }
}

function onFound(held: HeldRun, news: Extract<RunEvent, { kind: "found" }>, now: Now): HeldRun {
  if (!news.startedAt)
    return held.phase.kind === "accepted" ? { ...held, phase: { kind: "starting", detail: "" } } : held;
  const times =
    held.phase.kind === "running" || held.phase.kind === "suspended" ? held.phase : started(news.startedAt, now);
  const { startedAt, startedElapsedMs } = times;
  const { endFollows: _, ...rest } = held;
  const phase = { kind: news.suspended ? "suspended" : "running", startedAt, startedElapsedMs } as const;
  return news.over ? { ...rest, phase, endFollows: true } : { ...rest, phase };
}

/** Measures the run on the elapsed clock, because the wall clock may have been set meanwhile. Moves an end before the start. */
function timed(held: HeldRun, end: End, now: Now): End {
  if (!end.startedAt) return end;
  const { phase } = held;
  const from =
    phase.kind === "running" || phase.kind === "suspended"
      ? phase.startedElapsedMs - heardLateMs(phase.startedAt, end.startedAt)
      : started(end.startedAt, now).startedElapsedMs;
  // The driver may report an end late: subtract the delay.
  const endElapsedMs = now.elapsedMs - Math.max(0, now.at.getTime() - end.endedAt.getTime());
  const wallMs = Math.max(0, Math.round(endElapsedMs - from));
  return end.endedAt < end.startedAt
    ? { ...end, wallMs, endedAt: new Date(end.startedAt.getTime() + wallMs) }
    : { ...end, wallMs };
}

/** The agent may hear of a start some time after the engine's own start time, which comes with the end. A longer time is another clock's. */
function heardLateMs(heardAt: Date, startedAt: Date): number {
  const lateMs = heardAt.getTime() - startedAt.getTime();
  return lateMs > 0 && lateMs < mostLateMs ? lateMs : 0;
}
const mostLateMs = 60_000;

const startOf = (held: HeldRun): Date | undefined =>
  held.phase.kind === "running" || held.phase.kind === "suspended" ? held.phase.startedAt : undefined;

/** The start on both clocks. Limits use the elapsed clock, which cannot be set. */
const started = (at: Date, now: Now): Started => ({
  startedAt: at,
  startedElapsedMs: now.elapsedMs - Math.max(0, now.at.getTime() - at.getTime()),
});

/** A run of the journal that the driver's first batch does not name. */
export function onAbsent(held: HeldRun, now: Now): HeldRun {
  if (held.ofEarlierBoot) return lostByReboot(held, now);
  switch (held.phase.kind) {
    case "running":
    case "suspended":
      return onRunEvent(
        held,
        {
          kind: "lost",
          at: now.at,
          startedAt: undefined,
          reason: { code: "RUN_VANISHED", message: "it is gone, and nobody saw its end" },
        },
        now,
      );
    // The driver records a start before it makes it, so this run never began. The agent hands it over again.
    case "accepted":
    case "starting":
    case "queued":
      if (held.stop) return { ...held, phase: beforeStart(now.at) };
      return isOfThisLife(held) ? { ...held, phase: { kind: "accepted" } } : held;
    case "ended":
    case "refused":
      return held;
  }
}

/** A run from before the machine's last boot. Converts its times, because the elapsed clock began again. The driver's first batch decides whether it is lost. */
export function onReboot(held: HeldRun, now: Now): HeldRun {
  if (!isLive(held)) return held;
  const { phase, stop } = held;
  return {
    ...held,
    phase:
      phase.kind === "running" || phase.kind === "suspended" ? { ...phase, ...started(phase.startedAt, now) } : phase,
    stop: stop && { ...stop, sentElapsedMs: now.elapsedMs },
    renewedElapsedMs: neverMs,
    ofEarlierBoot: true,
  };
}

const lostByReboot = (held: HeldRun, now: Now): HeldRun =>
  onRunEvent(
    held,
    {
      kind: "lost",
      at: now.at,
      startedAt: undefined,
      reason: { code: "HOST_REBOOTED", message: "its host was started anew" },
    },
    now,
  );

/** Decides to stop a run whose time limit has ended. */
export function onTimeLimit(held: HeldRun, now: Now): HeldRun {
  return !held.stop && limitEnd(held) <= now.elapsedMs ? decideStop(held, "timed_out", "") : held;
}

/** Notes that a signal is sent. */
export const onSignalled = (held: HeldRun, stage: "term" | "kill", now: Now): HeldRun =>
  held.stop && isLive(held) ? { ...held, stop: { ...held.stop, stage, sentElapsedMs: now.elapsedMs } } : held;

/** The driver suspended or resumed it. */
export function onPaused(held: HeldRun, paused: boolean): HeldRun {
  const { phase } = held;
  if (phase.kind !== "running" && phase.kind !== "suspended") return held;
  const kind = paused ? "suspended" : "running";
  return phase.kind === kind ? held : { ...held, phase: { ...phase, kind } };
}

/** The run before it in its lane is over, so it takes that run's place. */
export const onTurn = (held: HeldRun): HeldRun =>
  held.phase.kind === "queued" ? { ...held, phase: { kind: "starting", detail: "" } } : held;

/** The server answered the report of its end. */
export const onAnswer = (held: HeldRun, answer: Answer): HeldRun =>
  isLive(held) ? held : answer === "unknown" ? { ...held, answer, known: false } : { ...held, answer };
