import { RunKnowledge } from "@berth/contracts/store";
import type { LookUpRunsRequest, LookUpRunsResponse } from "@berth/contracts/store";
import type { Run } from "@berth/contracts/types";
import { killCode, overCode, pendingCode, placedCode } from "./record/codes.ts";
import { gatherAssignments } from "./record/assignments.ts";
import { unlessUnreadable } from "./record/damage.ts";
import { readId } from "./record/task-life.ts";
import type { Foreseen, Records } from "../ports/records.ts";

export function foreseeLookUp(look: Foreseen, epoch: string, { runs, assign, specsOf }: LookUpRunsRequest): void {
  for (const run of [...runs, ...assign, ...specsOf]) {
    const id = run.epoch === epoch ? readId(run.taskId) : undefined;
    if (id) look.task(id.number, id.idx);
  }
  for (const run of [...assign, ...specsOf]) {
    const id = run.epoch === epoch ? readId(run.taskId) : undefined;
    if (id) look.runSpec(id.number);
  }
}

/** Answers the state of runs, and the assignments that a host should have and lacks. */
export function lookUpRuns(
  records: Records,
  epoch: string,
  { hostId, runs, assign, specsOf }: LookUpRunsRequest,
): LookUpRunsResponse {
  const wanted = gatherAssignments((number) => records.encodedSpec(number), epoch, records.schedulerTerm());
  for (const run of assign) {
    unlessUnreadable(() => {
      const row = taskOf(records, epoch, run);
      if (row?.state !== placedCode || row.attempt !== run.attempt || row.host !== hostId) return;
      if (row.request === killCode || (row.idx >= 0 && records.array(row.number)?.request === killCode)) return;
      // A run placed for another journal may have started under it, so it is never assigned again.
      if (row.journal !== records.journalOf(hostId)) return;
      wanted.add(hostId, run.taskId, run.attempt, row.journal);
    });
  }
  for (const run of specsOf) {
    unlessUnreadable(() => {
      const row = taskOf(records, epoch, run);
      if (row && knowledge(records, epoch, hostId, run) === RunKnowledge.CURRENT)
        wanted.add(hostId, run.taskId, run.attempt, row.journal);
    });
  }
  // A run whose record cannot be read goes on until a kill ends it.
  const known = runs.map(
    (run) => unlessUnreadable(() => knowledge(records, epoch, hostId, run)) ?? RunKnowledge.UNKNOWN,
  );
  return { runs: known, assign: wanted.forHost(hostId) };
}

function taskOf(records: Records, epoch: string, run: Run) {
  const id = run.epoch === epoch ? readId(run.taskId) : undefined;
  return id && records.task(id.number, id.idx);
}

function knowledge(records: Records, epoch: string, hostId: string, run: Run): RunKnowledge {
  const row = taskOf(records, epoch, run);
  if (!row || run.attempt < 1 || run.attempt > row.attempt) return RunKnowledge.UNKNOWN;
  if (run.attempt < row.attempt || row.state === pendingCode) return RunKnowledge.SUPERSEDED;
  if (row.state >= overCode) return RunKnowledge.OVER;
  return row.host === hostId ? RunKnowledge.CURRENT : RunKnowledge.UNKNOWN;
}
