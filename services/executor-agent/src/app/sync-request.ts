import type { SyncRequest } from "@berth/contracts/agent";
import { HostStatus } from "@berth/contracts/types";
import { isLive } from "../domain/held-run.ts";
import type { HeldRun } from "../domain/held-run.ts";
import type { AgentDeps } from "./agent-deps.ts";
import { statusOf } from "./run-status.ts";

/** What fits in one message of the bus with room to spare; ends beyond it are told by reports anyway. */
const maxStatuses = 10_000;

/** All that is here and not settled. `used` and `unknownRuns` are of what the database does not know, which nobody else counts. */
export function syncRequest(
  {
    hostId,
    agentId,
    driver,
    version,
    journal,
    clock,
  }: Pick<AgentDeps, "hostId" | "agentId" | "driver" | "version" | "journal" | "clock">,
  held: Iterable<HeldRun>,
  term: number,
  enforced: readonly string[],
): SyncRequest {
  const all = [...held].filter(({ answer }) => answer === undefined || answer === "unknown");
  const live = all.filter(isLive);
  const unknown = live.filter(({ known }) => !known);
  const told = all.length <= maxStatuses ? all : [...live, ...all.filter((run) => !isLive(run))].slice(0, maxStatuses);
  return {
    host: {
      id: hostId,
      agentId,
      driver: driver.getName(),
      capacity: { ...driver.capacity() },
      // In lanes or not: that is between the driver and us.
      features: [...driver.features()].filter((feature) => feature !== "lanes"),
      journalId: journal.id,
      bootId: clock.bootId,
      version,
      used: {
        cpuMilli: unknown.reduce((sum, { needs }) => sum + needs.resources.cpuMilli, 0),
        memoryBytes: unknown.reduce((sum, { needs }) => sum + needs.resources.memoryBytes, 0),
      },
      status: HostStatus.UP,
      reason: undefined,
      seenTime: clock.now().at,
      unknownRuns: unknown.map(({ run }) => ({ epoch: run.epoch, taskId: run.taskId, attempt: run.attempt })),
      liveTasks: live.length,
    },
    statuses: told.map((run) => statusOf(run, enforced)),
    term,
    withoutSpec: live
      .filter(({ specId, known }) => specId === undefined && known)
      .map(({ run: { epoch, taskId, attempt } }) => ({ epoch, taskId, attempt })),
  };
}
