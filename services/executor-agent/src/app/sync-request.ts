import type { SyncRequest } from "@berth/contracts/agent";
import { HostStatus } from "@berth/contracts/types";
import { isLive } from "../domain/held-run.ts";
import type { HeldRun } from "../domain/held-run.ts";
import type { AgentDeps } from "./agent-deps.ts";
import { statusOf } from "./run-status.ts";

/** Most statuses per sync, well below the bus' limit of one message. Further ends are reported anyway. */
const maxStatuses = 10_000;

/** The sync message: all runs that are not settled. `used` and `unknownRuns` cover only unknown runs, because the server sums the others itself. */
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
      // The server does not use `lanes`; only the agent does.
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
