import type { SyncRequest } from "@berth/contracts/agent";
import { HostStatus } from "@berth/contracts/types";
import type { Host } from "@berth/contracts/types";
import { isLive } from "../domain/held-run.ts";
import type { HeldRun } from "../domain/held-run.ts";
import { statusOf } from "./run-status.ts";

/** What an agent is, whatever runs on it. */
export type HostFacts = Pick<Host, "id" | "driver" | "capacity" | "features" | "journalId" | "bootId" | "version">;

/** What fits in one message of the bus with room to spare; ends beyond it are told by reports anyway. */
const maxStatuses = 10_000;

/** All that is here and not settled. `used` and `unknownRuns` are of what the database does not know, which nobody else counts. */
export function syncRequest(
  facts: HostFacts,
  held: Iterable<HeldRun>,
  term: number,
  now: Date,
  enforced: readonly string[],
): SyncRequest {
  const all = [...held].filter(({ answer }) => answer === undefined || answer === "unknown");
  const live = all.filter(isLive);
  const unknown = live.filter(({ known }) => !known);
  const told = all.length <= maxStatuses ? all : [...live, ...all.filter((run) => !isLive(run))].slice(0, maxStatuses);
  return {
    host: {
      ...facts,
      used: {
        cpuMilli: unknown.reduce((sum, { needs }) => sum + needs.resources.cpuMilli, 0),
        memoryBytes: unknown.reduce((sum, { needs }) => sum + needs.resources.memoryBytes, 0),
      },
      status: HostStatus.UP,
      reason: undefined,
      seenTime: now,
      unknownRuns: unknown.map(({ run }) => ({ epoch: run.epoch, taskId: run.taskId, attempt: run.attempt })),
      liveTasks: live.length,
    },
    statuses: told.map((run) => statusOf(run, enforced)),
    term,
  };
}
