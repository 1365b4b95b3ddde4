import { runKey, unreachable } from "@berth/core";
import type { Run } from "@berth/core";
import type { Requested, LiveTask, RunView } from "./run-view.ts";

/** What a run is to become. Only `stop` ends one. */
export type Verdict =
  | { readonly kind: "run" }
  | { readonly kind: "stop"; readonly cause: "killed" | "superseded" | "over"; readonly by: string }
  | { readonly kind: "suspend" }
  | { readonly kind: "resume" }
  /** Storage was asked and does not know it: it runs on, quarantined. */
  | { readonly kind: "unknown" };

/** What storage says of a run that the view does not have. */
export type Knowledge = "current" | "superseded" | "over" | "unknown";

export interface JudgedRun {
  readonly run: Run;
  readonly verdict: Verdict;
}

/** What an agent says it has. */
export interface Listing {
  readonly hostId: string;
  readonly journalId: string;
  readonly runs: readonly Run[];
}

/** What the view alone says of a listing. Absence from either side ends nothing. */
export interface Judgement {
  readonly verdicts: readonly JudgedRun[];
  /** Listed, and not in the view as its present attempt: storage must be asked. */
  readonly ask: readonly Run[];
  /** Placed there for this journal and not listed: to be offered, if storage says they still are placed. */
  readonly missing: readonly Run[];
  /** Placed there for another journal and not listed: nobody has them. */
  readonly lost: readonly Run[];
}

const run: Verdict = { kind: "run" };

/** Judges what an agent listed by what the feed said. Same arguments, same judgement. */
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
    else ask.push(each); // over, pending again, of another database, or the view is behind
  }
  const missing: Run[] = [];
  const lost: Run[] = [];
  for (const task of view.on(listing.hostId)) {
    const there: Run = { epoch, taskId: task.id, attempt: task.attempt };
    if (listed.has(runKey(there))) continue;
    if (task.journalId !== listing.journalId) lost.push(there);
    else if (task.state === "placed") {
      const verdict = wanted(task, view.asked(task));
      // Never to begin: its agent makes an end of it, and reports that.
      if (verdict.kind === "stop") verdicts.push({ run: there, verdict });
      else missing.push(there);
    }
  }
  return { verdicts, ask, missing, lost };
}

/** The verdict on a run that storage was asked about. */
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
