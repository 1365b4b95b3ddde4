import type { Assignment, AssignRequest } from "@berth/contracts/agent";
import type { HostAssignments } from "@berth/contracts/store";
import { RunSpec } from "@berth/contracts/types";
import type { Batch } from "./batch.ts";

interface Gathered {
  readonly specs: RunSpec[];
  readonly positions: Map<number, number>;
  readonly assignments: Assignment[];
}

/** Gathers assignments ready to send: each spec once a host, and decoded once in all. */
export function assignmentsFor(batch: Batch, epoch: string, term: number) {
  const hosts = new Map<string, Gathered>();
  const specs = new Map<number, RunSpec>();

  function specOf(number: number): RunSpec {
    let spec = specs.get(number);
    if (!spec) specs.set(number, (spec = RunSpec.decode(batch.wholeSpec(number)!.run_spec!)));
    return spec;
  }
  const request = ({ specs: list, assignments }: Gathered): AssignRequest => ({ term, specs: list, assignments });

  return {
    add(
      hostId: string,
      id: { readonly number: number; readonly taskId: string },
      attempt: number,
      journalId: string,
    ): void {
      let host = hosts.get(hostId);
      if (!host) hosts.set(hostId, (host = { specs: [], positions: new Map(), assignments: [] }));
      let specIndex = host.positions.get(id.number);
      if (specIndex === undefined) {
        specIndex = host.specs.push(specOf(id.number)) - 1;
        host.positions.set(id.number, specIndex);
      }
      host.assignments.push({ run: { epoch, taskId: id.taskId, attempt }, specIndex, journalId });
    },
    byHost: (): HostAssignments[] => [...hosts].map(([hostId, gathered]) => ({ hostId, assign: request(gathered) })),
    forHost: (hostId: string): AssignRequest =>
      request(hosts.get(hostId) ?? { specs: [], positions: new Map(), assignments: [] }),
  };
}
