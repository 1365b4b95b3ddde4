import { runKey, unreachable } from "@berth/core";
import type { Run } from "@berth/core";
import type { Requested, LiveTask, RunView } from "./run-view.ts";

/** What the server wants of a run. Only `stop` ends it. */
export type Verdict =
  | { readonly kind: "run" }
  | { readonly kind: "stop"; readonly cause: "killed" | "superseded" | "over"; readonly by: string }
  | { readonly kind: "suspend" }
  | { readonly kind: "resume" }
  /** Storage does not know the run: it continues, and is shown as unknown. */
  | { readonly kind: "unknown" };

/** Storage's answer about a run that the view does not have. */
export type Knowledge = "current" | "superseded" | "over" | "unknown";

export interface JudgedRun {
  readonly run: Run;
  readonly verdict: Verdict;
}

/** An agent's list of its runs. */
export interface Listing {
  readonly hostId: string;
  readonly journalId: string;
  readonly runs: readonly Run[];
}

/** The judgement by the view alone. A run that is missing on either side is never ended for that. */
export interface Judgement {
  readonly verdicts: readonly JudgedRun[];
  /** Listed, but not the present attempt in the view: storage must be asked. */
  readonly ask: readonly Run[];
  /** Placed for this journal and not listed: to be offered again, if storage confirms the placement. */
  readonly missing: readonly Run[];
  /** Placed for another journal and not listed: lost. */
  readonly lost: readonly Run[];
}

const run: Verdict = { kind: "run" };

/** Compares an agent's list with the view. Deterministic. */
export function judge(view: RunView, epoch: string, listing: Listing): Judgement {
  const verdicts: JudgedRun[] = [];
  const ask: Run[] = [];
  const listed = new Set<string>();
  for (const each of listing.runs) {
    listed.add(runKey(each));
    const task = each.epoch === epoch ? view.get(each.taskId) : undefined;
    if (task && task.attempt > each.attempt)
      verdicts.push({ run: each, verdict: { kind: "stop", cause: "superseded", by: "" } });
    else if (task && task.attempt === each.attempt && task.hostId === listing.hostId)
      verdicts.push({ run: each, verdict: wanted(task, view.asked(task)) });
    else ask.push(each); // over, pending again, from another database, or newer than the view
  }
  const missing: Run[] = [];
  const lost: Run[] = [];
  for (const task of view.on(listing.hostId)) {
    const there: Run = { epoch, taskId: task.id, attempt: task.attempt };
    if (listed.has(runKey(there))) continue;
    if (task.journalId !== listing.journalId) lost.push(there);
    else if (task.state === "placed") {
      const verdict = wanted(task, view.asked(task));
      // The run must not start: the agent ends it and reports that.
      if (verdict.kind === "stop") verdicts.push({ run: there, verdict });
      else missing.push(there);
    }
  }
  return { verdicts, ask, missing, lost };
}

/** The verdict from storage's answer about a run. */
export function verdictOn(knowledge: Knowledge): Verdict {
  switch (knowledge) {
    case "current":
      return run;
    case "superseded":
      return { kind: "stop", cause: "superseded", by: "" };
    case "over":
      return { kind: "stop", cause: "over", by: "" };
    case "unknown":
      return { kind: "unknown" };
    default:
      return unreachable(knowledge);
  }
}

function wanted(task: LiveTask, asked: Requested | undefined): Verdict {
  if (!asked) return run;
  switch (asked.request) {
    case "kill":
      return { kind: "stop", cause: "killed", by: asked.by };
    case "suspend":
      return { kind: "suspend" };
    case "resume":
      return task.state === "suspended" ? { kind: "resume" } : run;
    default:
      return unreachable(asked.request);
  }
}
