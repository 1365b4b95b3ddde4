import { RunKnowledge } from "@berth/contracts/store";
import type { LookUpRunsRequest, LookUpRunsResponse } from "@berth/contracts/store";
import type { Run } from "@berth/contracts/types";
import type { Database } from "@berth/database";
import { killCode, overCode, pendingCode, placedCode } from "../records/codes.ts";
import { gatherAssignments } from "../records/assignments.ts";
import { unlessUnreadable } from "../records/damage.ts";
import { readId } from "../records/task-life.ts";
import { readArray } from "./batch.ts";
import type { HostTable } from "./host-table.ts";
import { schedulerTerm } from "./leases.ts";
import { encodedSpec, readTask } from "./task-rows.ts";

/** What is known of runs; and the assignments of those that their host should have and lacks. */
export function lookUpRuns(
  db: Database,
  epoch: string,
  hosts: HostTable,
  { hostId, runs, assign, specsOf }: LookUpRunsRequest,
): LookUpRunsResponse {
  const wanted = gatherAssignments((number) => encodedSpec(db, number), epoch, schedulerTerm(db));
  for (const run of assign) {
    unlessUnreadable(() => {
      const row = taskOf(db, epoch, run);
      if (row?.state !== placedCode || row.attempt !== run.attempt || row.host !== hostId) return;
      if (row.request === killCode || (row.idx >= 0 && readArray(db, row.number)?.request === killCode)) return;
      // A run that was placed for another journal may have been begun under that one: it is never offered again.
      if (row.journal === hosts.journalOf(hostId)) wanted.add(hostId, run.taskId, run.attempt, row.journal);
    });
  }
  for (const run of specsOf) {
    unlessUnreadable(() => {
      const row = taskOf(db, epoch, run);
      if (row && knowledge(db, epoch, hostId, run) === RunKnowledge.CURRENT)
        wanted.add(hostId, run.taskId, run.attempt, row.journal);
    });
  }
  // A run whose record cannot be read is left alone until a kill ends it.
  const known = runs.map((run) => unlessUnreadable(() => knowledge(db, epoch, hostId, run)) ?? RunKnowledge.UNKNOWN);
  return { runs: known, assign: wanted.forHost(hostId) };
}

function taskOf(db: Database, epoch: string, run: Run) {
  const at = run.epoch === epoch ? readId(run.taskId) : undefined;
  return at && readTask(db, at.number, at.idx);
}

function knowledge(db: Database, epoch: string, hostId: string, run: Run): RunKnowledge {
  const row = taskOf(db, epoch, run);
  if (!row || run.attempt < 1 || run.attempt > row.attempt) return RunKnowledge.UNKNOWN;
  if (run.attempt < row.attempt || row.state === pendingCode) return RunKnowledge.SUPERSEDED;
  if (row.state >= overCode) return RunKnowledge.OVER;
  return row.host === hostId ? RunKnowledge.CURRENT : RunKnowledge.UNKNOWN;
}
