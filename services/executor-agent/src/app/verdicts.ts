import type { RunVerdict } from "@berth/contracts/agent";
import { isSoundRun, runKey } from "@berth/core";
import { isLive } from "../domain/held-run.ts";
import type { HeldRun } from "../domain/held-run.ts";
import { leaseEnd, renewed } from "../domain/lease.ts";
import { neverStarted, onWord } from "../domain/news.ts";
import type { AgentDeps } from "./agent-deps.ts";
import type { RunTable } from "./run-table.ts";
import { wordOf } from "./syncer.ts";

export interface VerdictDeps extends Pick<AgentDeps, "clock" | "driver" | "logger"> {
  readonly table: RunTable;
}

/** Takes what the control plane says of each run into the table; `askedElapsedMs`: when it was asked, from where leases count anew. */
export function takeVerdicts(
  { table, driver, clock, logger }: VerdictDeps,
  verdicts: readonly RunVerdict[],
  askedElapsedMs: number,
): void {
  const now = clock.now();
  const leased: HeldRun[] = [];
  let urgent = false;
  for (const verdict of verdicts) {
    const { run } = verdict;
    const word = run && wordOf(verdict);
    if (!run || !word || !isSoundRun(run)) continue;
    const key = runKey(run);
    const held = table.get(key);
    if (!held && (word.kind !== "stop" || table.isHeld(key))) continue;
    let next = held ? onWord(held, word, now.at) : neverStarted(key, run, now.at);
    if (word.kind !== "stop" && word.kind !== "unknown") next = renewed(next, askedElapsedMs, now);
    if (word.kind !== "stop" && next.needs.leaseMs > 0 && isLive(next)) leased.push(next);
    if (next === held) continue;
    const about = { task: run.taskId, attempt: run.attempt };
    if (next.stop !== held?.stop) logger.info("told to stop a run", { ...about, reason: verdict.reason });
    if (!next.known && held?.known)
      logger.warn("the database does not know a run; it runs on, quarantined", { ...about, epoch: run.epoch });
    const isUrgent = !held || !isOnlyRenewed(held, next);
    table.change(next, isUrgent ? "now" : "soon");
    urgent ||= isUrgent;
  }
  if (urgent) table.commit();
  if (leased.length > 0) driver.extendLeases?.(leased.map((held) => ({ run: held.run, untilBootMs: leaseEnd(held) })));
}

/** Nothing has to be done about it, and losing it in a crash only freezes the run a little early. */
const isOnlyRenewed = (before: HeldRun, next: HeldRun): boolean =>
  before.phase === next.phase &&
  before.stop === next.stop &&
  before.frozen === next.frozen &&
  before.wish === next.wish &&
  before.known === next.known &&
  before.answer === next.answer;
