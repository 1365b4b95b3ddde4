import { AppError } from "@berth/core";
import { subjects } from "@berth/contracts";
import { AssignRequest } from "@berth/contracts/agent";
import type { Bus } from "@berth/nats";
import { isTracing, openSpan } from "@berth/runtime";
import type { Logger } from "@berth/runtime";
import type { Dispatcher } from "../../ports/dispatcher.ts";

export interface DispatcherOptions {
  readonly bus: Bus;
  readonly logger: Logger;
  /** How long an agent may take to journal them. */
  readonly timeoutMs?: number;
  /** Called for each message without an answer. */
  readonly onUndelivered?: (hostId: string, count: number) => void;
}

/** Limit of assignments per message: more would exceed NATS's message size, or keep an agent busy for too long. */
const maxAssignments = 500;
const maxBytes = 512 * 1024;
/** If more messages than this wait for one host, the rest are left to the watcher. */
const maxWaiting = 64;

interface Line {
  readonly waiting: AssignRequest[];
  busy: boolean;
}

/** One open request per host; assignments made during it go in the next one. */
export function natsDispatcher({
  bus,
  logger,
  timeoutMs = 5_000,
  onUndelivered = () => {},
}: DispatcherOptions): Dispatcher {
  const lines = new Map<string, Line>();

  async function drain(hostId: string, line: Line): Promise<void> {
    line.busy = true;
    for (let next = merged(line.waiting); next; next = merged(line.waiting)) {
      try {
        await bus.request(subjects.assign, hostId, next, { timeoutMs });
      } catch (thrown) {
        const error = AppError.from(thrown);
        logger.debug("assignments got no answer; the watcher will offer them", {
          hostId,
          count: next.assignments.length,
          reason: error.reason,
        });
        onUndelivered(hostId, next.assignments.length);
      }
    }
    lines.delete(hostId);
  }

  return {
    send(assignments) {
      for (const { hostId, message } of assignments) {
        if (isTracing()) tracePlacements(hostId, message);
        let line = lines.get(hostId);
        if (!line) lines.set(hostId, (line = { waiting: [], busy: false }));
        if (line.waiting.length >= maxWaiting) {
          onUndelivered(hostId, message.assignments.length);
          continue;
        }
        line.waiting.push(...split(message));
        if (!line.busy) void drain(hostId, line);
      }
    },
  };
}

/** Marks the moment of each placement in its task's own trace. */
function tracePlacements(hostId: string, { assignments, specs }: AssignRequest): void {
  for (const { run, specIndex } of assignments) {
    const parent = specs[specIndex]?.traceParent;
    if (parent)
      openSpan("scheduler place", {
        parent,
        attributes: { "berth.task": run?.taskId ?? "", "berth.attempt": run?.attempt ?? 0, "berth.host": hostId },
      }).span.end();
  }
}

/** Merges as many messages as fit in one, with each spec once. */
function merged(waiting: AssignRequest[]): AssignRequest | undefined {
  const first = waiting.shift();
  if (!first || waiting.length === 0) return first;
  const all: AssignRequest = { term: first.term, specs: [...first.specs], assignments: [...first.assignments] };
  let bytes = sizeOf(first);
  for (let next = waiting[0]; next; next = waiting[0]) {
    bytes += sizeOf(next);
    if (next.term !== all.term || bytes > maxBytes || all.assignments.length + next.assignments.length > maxAssignments)
      break;
    const offset = all.specs.length;
    all.specs.push(...next.specs);
    for (const assignment of next.assignments)
      all.assignments.push({ ...assignment, specIndex: assignment.specIndex + offset });
    waiting.shift();
  }
  return all;
}

/** Splits a message that is too large, between its assignments, each part with the specs it needs. */
export function split(message: AssignRequest): AssignRequest[] {
  if (message.assignments.length <= 1 || (message.assignments.length <= maxAssignments && sizeOf(message) <= maxBytes))
    return [message];
  const half = message.assignments.length >> 1;
  return [message.assignments.slice(0, half), message.assignments.slice(half)].flatMap((part) => {
    const positions = new Map<number, number>();
    const specs = message.specs.filter(
      (_, at) => part.some(({ specIndex }) => specIndex === at) && positions.set(at, positions.size),
    );
    const assignments = part.map((assignment) => ({ ...assignment, specIndex: positions.get(assignment.specIndex)! }));
    return split({ term: message.term, specs, assignments });
  });
}

const sizeOf = (message: AssignRequest): number => AssignRequest.encode(message).finish().length;
