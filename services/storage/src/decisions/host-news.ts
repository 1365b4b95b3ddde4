import type { Host } from "@berth/contracts/types";
import { maySpeakFor } from "../domain/host-name.ts";
import { saidOf } from "./record/host-record.ts";
import type { HostRecord } from "./record/host-record.ts";

/** What of a watcher's words about hosts has to be written. */
export interface HostNews {
  /** Hosts that are new, have changed, or were silent. */
  readonly changed: readonly Host[];
  /** Hosts that no store has heard from for too long. */
  readonly silent: readonly string[];
}

/** What a rule asks about a host by its id; undefined where nothing is known of it. */
type ById<T> = (id: string) => T | undefined;

/**
 * Positions of agents that may not speak for their host, because another one was heard lately. Of two that ask together for one name, the first has it.
 * `agentOf`: the agent that spoke for a host last; `silentMs`: for how long no store has heard from it.
 */
export function refusedAgents(
  hosts: readonly Host[],
  agentOf: ById<string>,
  silentMs: (id: string) => number,
): ReadonlySet<number> {
  const accepted = new Map<string, string>();
  const refused = new Set<number>();
  hosts.forEach(({ id, agentId = "" }, at) => {
    const holder = accepted.get(id);
    const may =
      holder === undefined ? maySpeakFor(agentOf(id), agentId, silentMs(id)) : maySpeakFor(holder, agentId, 0);
    if (may) accepted.set(id, agentId);
    else refused.add(at);
  });
  return refused;
}

/** Whether another agent took a host's name (`holder`) since this one was judged beside the one that had it then. */
export const isNameTaken = (holder: string | undefined, judgedBeside: string | undefined, agentId: string): boolean =>
  holder !== judgedBeside && !maySpeakFor(holder, agentId, 0);

/** The hosts of which an agent says something that is not stored. */
export const changedHosts = (hosts: readonly Host[], recordOf: ById<HostRecord>): readonly Host[] =>
  hosts.filter((host) => {
    const record = recordOf(host.id);
    return !record || record.silent || !record.said.equals(saidOf(host));
  });

/** Which of the hosts that a watcher does not hear can become silent: those that are known, and are not silent yet. */
export const notYetSilent = (ids: readonly string[], recordOf: ById<HostRecord>): readonly string[] =>
  ids.filter((id) => recordOf(id)?.silent === false);

/** The new record of each host. If a host is both heard and called silent in one request, what its agent said counts. */
export function recordsAfter(
  { changed, silent }: HostNews,
  recordOf: ById<HostRecord>,
  now: number,
): ReadonlyMap<string, HostRecord> {
  const after = new Map<string, HostRecord>();
  for (const host of changed) after.set(host.id, { said: saidOf(host), silent: false, lostBy: "", seenAt: now });
  for (const id of silent) {
    const record = recordOf(id);
    if (record && !record.silent && !after.has(id)) after.set(id, { ...record, silent: true });
  }
  return after;
}

/** A host that an operator declared lost counts as silent until it is heard of again. */
export const declaredLost = (record: HostRecord, by: string): HostRecord => ({ ...record, silent: true, lostBy: by });
