import { unreachable } from "@berth/core";
import type { Reason, Run } from "@berth/core";
import { hasStarted, isLive, isOfThisLife, noNeeds } from "./held-run.ts";
import type { Answer, End, HeldRun, Phase, Started, StopCause } from "./held-run.ts";
import { neverMs } from "./lease.ts";
import { endOfExit, endWithoutExit } from "./outcome.ts";
import type { Exit } from "./outcome.ts";
import { limitEnd } from "./steps.ts";
import type { Now } from "./steps.ts";

/** What the control plane says about a run. */
export type Verdict =
  | { readonly kind: "run" }
  | { readonly kind: "stop"; readonly cause: Exclude<StopCause, "timed_out">; readonly by: string }
  | { readonly kind: "suspend" }
  | { readonly kind: "resume" }
  | { readonly kind: "unknown" };

/** What the driver says about a run. */
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

/** A run after the control plane's word; the same object where nothing changes. Only `stop` leads to its end. */
export function onVerdict(held: HeldRun, word: Verdict, now: Date): HeldRun {
  const known = word.kind !== "unknown";
  // An end that was answered `unknown` is reported again only once the database knows the run.
  const answer = held.answer === "unknown" && known ? undefined : held.answer;
  // Nobody runs again what the database does not know: it need not stand still.
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

/** The first stop stands. */
function decideStop(held: HeldRun, cause: StopCause, by: string): HeldRun {
  if (held.stop) return held;
  return { ...held, stop: { cause, by, stage: "wanted", sentElapsedMs: 0 } };
}

/** A stop for a run that is not in the journal: it never starts here, and that is a fact to report. */
export const neverStarted = (key: string, run: Run, now: Date): HeldRun => ({
  ...adopted(key, run),
  phase: beforeStart(now),
});

/** The driver was not told of it; nor after a restart, since a run of which it was told is found, and is a starting one then. */
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

/** A run after the driver's news; the same object where it changes nothing. What has ended stays as it ended. */
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

/** The wall clock may have been set while it ran: its length is that of the other one, and it does not end before it started. */
function timed(held: HeldRun, end: End, now: Now): End {
  if (!end.startedAt) return end;
  const { startedElapsedMs } = started(end.startedAt, now);
  const from = hasStarted(held) && "startedElapsedMs" in held.phase ? held.phase.startedElapsedMs : startedElapsedMs;
  // An end that is told late is of then.
  const endElapsedMs = now.elapsedMs - Math.max(0, now.at.getTime() - end.endedAt.getTime());
  const wallMs = Math.max(0, Math.round(endElapsedMs - from));
  return end.endedAt < end.startedAt
    ? { ...end, wallMs, endedAt: new Date(end.startedAt.getTime() + wallMs) }
    : { ...end, wallMs };
}

const startOf = (held: HeldRun): Date | undefined =>
  held.phase.kind === "running" || held.phase.kind === "suspended" ? held.phase.startedAt : undefined;

/** The wall clock may be set while a task runs; the elapsed one may not, and is what limits count on. */
const started = (at: Date, now: Now): Started => ({
  startedAt: at,
  startedElapsedMs: now.elapsedMs - Math.max(0, now.at.getTime() - at.getTime()),
});

/** A run that the journal has and the driver, asked for all it has, does not. */
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
    // The driver records a start before it makes it, so this one never began: it is told to start it, once.
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

/** A run of before the machine's last boot. Times on the elapsed clock were of that boot. Whether it is lost shows when the driver has told what it found. */
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

/** A run whose time limit is reached is to stop. */
export function onTimeLimit(held: HeldRun, now: Now): HeldRun {
  return !held.stop && limitEnd(held) <= now.elapsedMs ? decideStop(held, "timed_out", "") : held;
}

/** A signal was sent. */
export const onSignalled = (held: HeldRun, stage: "term" | "kill", now: Now): HeldRun =>
  held.stop && isLive(held) ? { ...held, stop: { ...held.stop, stage, sentElapsedMs: now.elapsedMs } } : held;

/** The driver stopped or went on with it. */
export function onPaused(held: HeldRun, paused: boolean): HeldRun {
  const { phase } = held;
  if (phase.kind !== "running" && phase.kind !== "suspended") return held;
  const kind = paused ? "suspended" : "running";
  return phase.kind === kind ? held : { ...held, phase: { ...phase, kind } };
}

/** The run before it in its lane is over: it takes that one's place. */
export const onTurn = (held: HeldRun): HeldRun =>
  held.phase.kind === "queued" ? { ...held, phase: { kind: "starting", detail: "" } } : held;

/** The report of its end was answered. */
export const onAnswer = (held: HeldRun, answer: Answer): HeldRun =>
  isLive(held) ? held : answer === "unknown" ? { ...held, answer, known: false } : { ...held, answer };
