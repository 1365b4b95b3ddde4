import type { Assignment, AssignRequest } from "@berth/contracts/agent";
import type { HostAssignments } from "@berth/contracts/store";
import { RunSpec } from "@berth/contracts/types";
import { readId } from "./task-life.ts";

interface Gathered {
  readonly specs: RunSpec[];
  readonly positions: Map<number, number>;
  readonly assignments: Assignment[];
}

/** Gathers assignments ready to send: each spec once a host, and read and decoded once in all. `encodedSpec`: of a task's number. */
export function gatherAssignments(encodedSpec: (number: number) => Uint8Array, epoch: string, term: number) {
  const hosts = new Map<string, Gathered>();
  const specs = new Map<number, RunSpec>();

  function specOf(number: number): RunSpec {
    let spec = specs.get(number);
    if (!spec) specs.set(number, (spec = RunSpec.decode(encodedSpec(number))));
    return spec;
  }
  const request = ({ specs: list, assignments }: Gathered): AssignRequest => ({ term, specs: list, assignments });

  return {
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
