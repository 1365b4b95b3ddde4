import { AssignRequest, ReportAnswer, ReportRequest, SyncReply, SyncRequest } from "@berth/contracts/agent";
import type { RunStatus } from "@berth/contracts/agent";
import { OnHostLost, RunSpec } from "@berth/contracts/types";
import type { Run } from "@berth/core";
import { silentLogger } from "@berth/runtime";
import { memoryJournal } from "../adapters/memory/memory-journal.ts";
import { simDriver } from "../adapters/sim/sim-driver.ts";
import { simFiles } from "../adapters/sim/sim-files.ts";
import { Agent } from "../app/agent.ts";
import type { ControlPlane } from "../ports/control-plane.ts";
import type { TaskFiles } from "../ports/task-files.ts";

export const epoch = "0193-epoch";
export const capacity = { cpuMilli: 4000, memoryBytes: 2 ** 32 };

/** Plays the watchers. Encodes and decodes each message once, as the bus does. */
export class Control implements ControlPlane {
  readonly reports: RunStatus[][] = [];
  readonly syncs: SyncRequest[] = [];
  answer: (status: RunStatus) => ReportAnswer | undefined = () => ReportAnswer.COMMITTED;
  reply: (request: SyncRequest) => Partial<SyncReply> = () => ({});
  #waiting: { isSo: () => boolean; resolve: () => void }[] = [];

  async sync(request: SyncRequest): Promise<SyncReply> {
    const seen = SyncRequest.decode(SyncRequest.encode(request).finish());
    this.syncs.push(seen);
    this.#look();
    return SyncReply.fromPartial({ ready: true, epoch, ...this.reply(seen) });
  }

  async report(statuses: readonly RunStatus[]): Promise<readonly ReportAnswer[]> {
    const { statuses: seen } = ReportRequest.decode(
      ReportRequest.encode({ hostId: "h", journalId: "j", statuses: [...statuses] }).finish(),
    );
    this.reports.push(seen);
    this.#look();
    return seen.map((status) => {
      const answer = this.answer(status);
      if (!answer) throw new Error("no answer");
      return answer;
    });
  }

  /** Resolves once `isSo` returns true; checks at each message. */
  until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ isSo, resolve });
      this.#look();
    });
  }

  /** All statuses that were reported of a task. */
  of(taskId: string): RunStatus[] {
    return this.reports.flat().filter((status) => status.run?.taskId === taskId);
  }

  last(taskId: string): RunStatus | undefined {
    return this.of(taskId).at(-1);
  }

  #look(): void {
    this.#waiting = this.#waiting.filter(({ isSo, resolve }) => {
      if (!isSo()) return true;
      resolve();
      return false;
    });
  }
}

const stops: AbortController[] = [];
/** Stops all agents. Call it after each test. */
export const endHosts = (): void => stops.splice(0).forEach((stop) => stop.abort(new Error("test over")));

export interface Host {
  readonly agent: Agent;
  readonly control: Control;
  /** Stops the agent; its machine and driver continue. */
  readonly end: () => Promise<void>;
}

type Parts = {
  journal?: ReturnType<typeof memoryJournal>;
  driver?: ReturnType<typeof simDriver>;
  control?: Control;
  bootId?: string;
  /** Milliseconds that its clock is ahead of the test's, to simulate time without an agent. */
  aheadMs?: () => number;
  onRefused?: (code: string) => void;
  files?: TaskFiles;
};

/** Starts an agent on a host of its own; resolves when it is ready. */
export async function startHost({
  journal = memoryJournal(),
  driver = simDriver({ capacity }),
  control = new Control(),
  bootId = "boot-1",
  aheadMs = () => 0,
  onRefused = () => {},
  files = simFiles,
}: Parts = {}): Promise<Host> {
  const agent = new Agent({
    hostId: "h",
    agentId: "agent",
    version: "test",
    driver,
    files,
    deliver: (events) => events,
    journal,
    control,
    clock: { bootId, now: () => ({ at: new Date(), elapsedMs: performance.now() + aheadMs() }) },
    random: () => 0.5,
    logger: silentLogger,
    defaultImage: "",
    onEnd: () => {},
    onRefused,
  });
  const stop = new AbortController();
  stops.push(stop);
  const ready = Promise.withResolvers<void>();
  const running = agent.run(stop.signal, ready.resolve);
  await Promise.race([ready.promise, running]);
  return { agent, control, end: async () => (stop.abort(new Error("ended")), running) };
}

export type Wish = {
  id: string;
  command: string[];
  attempt?: number;
  cpuMilli?: number;
  timeLimitMs?: number;
  graceMs?: number;
  leaseMs?: number;
};

/** An assign request, encoded and decoded once. */
export function assign(journalId: string, tasks: Wish[], term = 1): AssignRequest {
  const message = AssignRequest.fromPartial({
    term,
    specs: tasks.map(({ command, cpuMilli = 1000, timeLimitMs = 0, graceMs = 50, leaseMs = 0 }) =>
      RunSpec.fromPartial({
        spec: {
          command,
          resources: { cpuMilli, memoryBytes: 1 },
          timeLimitMs,
          graceMs,
          ...(leaseMs > 0 ? { onHostLost: OnHostLost.RETRY, hostLeaseMs: leaseMs } : {}),
        },
        identity: { user: "ann", uid: 1, gid: 1 },
      }),
    ),
    assignments: tasks.map(({ id, attempt = 1 }, specIndex) => ({
      run: { epoch, taskId: id, attempt },
      specIndex,
      journalId,
    })),
  });
  return AssignRequest.decode(AssignRequest.encode(message).finish());
}

/** A driver that records its suspend and resume calls. */
export function watchedDriver(): { readonly said: string[]; readonly driver: ReturnType<typeof simDriver> } {
  const driver = simDriver({ capacity });
  const said: string[] = [];
  return {
    said,
    driver: {
      ...driver,
      suspendTask: async (run: Run) => (said.push(`stop ${run.taskId}`), driver.suspendTask(run)),
      resumeTask: async (run: Run) => (said.push(`go ${run.taskId}`), driver.resumeTask(run)),
    },
  };
}

/** Resolves once `isSo` returns true, polling: for conditions that no message announces. */
export async function eventually(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
