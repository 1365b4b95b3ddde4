import { RunKnowledge } from "@berth/contracts/store";
import type { LookUpRunsRequest, LookUpRunsResponse } from "@berth/contracts/store";
import type { Run } from "@berth/contracts/types";
import { killCode, overCode, pendingCode, placedCode } from "../records/codes.ts";
import { gatherAssignments } from "../records/assignments.ts";
import { unlessUnreadable } from "../records/damage.ts";
import { readId } from "../records/task-life.ts";
import type { Batch } from "./batch.ts";
import type { Hosts } from "./hosts.ts";
import { schedulerTerm } from "./leases.ts";
import type { Needs } from "./needs.ts";

export function lookUpNeeds(needs: Needs, epoch: string, { runs, assign, specsOf }: LookUpRunsRequest): void {
  for (const run of [...runs, ...assign, ...specsOf]) {
    const id = run.epoch === epoch ? readId(run.taskId) : undefined;
    if (id) needs.task(id.number, id.idx);
  }
  for (const run of [...assign, ...specsOf]) {
    const id = run.epoch === epoch ? readId(run.taskId) : undefined;
    if (id) needs.runSpecs.add(id.number);
  }
}

/** What is known of runs; and the assignments of those that their host should have and lacks. */
export function lookUpRuns(
  batch: Batch,
  epoch: string,
  hosts: Hosts,
  { hostId, runs, assign, specsOf }: LookUpRunsRequest,
): LookUpRunsResponse {
  const wanted = gatherAssignments(
    (number) => batch.encodedSpec(number),
    epoch,
    schedulerTerm(batch.lease("scheduler")),
  );
  for (const run of assign) {
    unlessUnreadable(() => {
      const row = taskOf(batch, epoch, run);
      if (row?.state !== placedCode || row.attempt !== run.attempt || row.host !== hostId) return;
      if (row.request === killCode || (row.idx >= 0 && batch.array(row.number)?.request === killCode)) return;
      // A run that was placed for another journal may have been begun under that one: it is never offered again.
      if (row.journal !== hosts.journalOf(batch.host(hostId))) return;
      wanted.add(hostId, run.taskId, run.attempt, row.journal);
    });
  }
  for (const run of specsOf) {
    unlessUnreadable(() => {
      const row = taskOf(batch, epoch, run);
      if (row && knowledge(batch, epoch, hostId, run) === RunKnowledge.CURRENT)
        wanted.add(hostId, run.taskId, run.attempt, row.journal);
    });
  }
  // A run whose record cannot be read is left alone until a kill ends it.
  const known = runs.map((run) => unlessUnreadable(() => knowledge(batch, epoch, hostId, run)) ?? RunKnowledge.UNKNOWN);
  return { runs: known, assign: wanted.forHost(hostId) };
}

function taskOf(batch: Batch, epoch: string, run: Run) {
  const id = run.epoch === epoch ? readId(run.taskId) : undefined;
  return id && batch.task(id.number, id.idx);
}

function knowledge(batch: Batch, epoch: string, hostId: string, run: Run): RunKnowledge {
  const row = taskOf(batch, epoch, run);
  if (!row || run.attempt < 1 || run.attempt > row.attempt) return RunKnowledge.UNKNOWN;
  if (run.attempt < row.attempt || row.state === pendingCode) return RunKnowledge.SUPERSEDED;
  if (row.state >= overCode) return RunKnowledge.OVER;
  return row.host === hostId ? RunKnowledge.CURRENT : RunKnowledge.UNKNOWN;
}
