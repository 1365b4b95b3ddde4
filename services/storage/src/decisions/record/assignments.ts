import type { Assignment, AssignRequest } from "@berth/contracts/agent";
import type { HostAssignments } from "@berth/contracts/store";
import { RunSpec } from "@berth/contracts/types";
import { recordUnreadable } from "./damage.ts";
import { readId } from "./task-life.ts";

interface Gathered {
  readonly specs: RunSpec[];
  readonly positions: Map<number, number>;
  readonly assignments: Assignment[];
}

/** Collects assignments ready to send: each spec once per host, read and decoded once in all. `encodedSpec`: reads the spec of a task's number. */
export function gatherAssignments(encodedSpec: (number: number) => Uint8Array, epoch: string, term: number) {
  const hosts = new Map<string, Gathered>();
  const specs = new Map<number, RunSpec>();

  function specOf(number: number): RunSpec {
    let spec = specs.get(number);
    if (!spec) specs.set(number, (spec = decodeSpec(number, encodedSpec(number))));
    return spec;
  }
  const request = ({ specs: list, assignments }: Gathered): AssignRequest => ({ term, specs: list, assignments });

  return {
    /** Throws RECORD_UNREADABLE where its spec cannot be decoded. */
    look(number: number): void {
      specOf(number);
    },
    add(hostId: string, taskId: string, attempt: number, journalId: string): void {
      let host = hosts.get(hostId);
      if (!host) hosts.set(hostId, (host = { specs: [], positions: new Map(), assignments: [] }));
      const { number } = readId(taskId)!;
      let specIndex = host.positions.get(number);
      if (specIndex === undefined) {
        specIndex = host.specs.push(specOf(number)) - 1;
        host.positions.set(number, specIndex);
      }
      host.assignments.push({ run: { epoch, taskId, attempt }, specIndex, journalId });
    },
    byHost: (): HostAssignments[] => [...hosts].map(([hostId, gathered]) => ({ hostId, assign: request(gathered) })),
    forHost: (hostId: string): AssignRequest =>
      request(hosts.get(hostId) ?? { specs: [], positions: new Map(), assignments: [] }),
  };
}

function decodeSpec(number: number, bytes: Uint8Array): RunSpec {
  try {
    return RunSpec.decode(bytes);
  } catch (error) {
    throw recordUnreadable(number, -1, "run_spec", error);
  }
}
