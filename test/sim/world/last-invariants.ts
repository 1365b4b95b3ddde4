import type { Outcome } from "@berth/core";
import type { Database } from "@berth/database";
import type { Client } from "./client.ts";
import type { Machine } from "./machine.ts";
import { codes, readAttempts, readCharged, readLoad, readTruth } from "./truth.ts";
import type { TruthRow } from "./truth.ts";

/** What storage says of an ended task. */
export interface StoredEnd {
  readonly attempt: number;
  readonly outcome: Outcome | undefined;
  readonly cpuMs: number;
}

/** What must hold when faults have stopped and time has passed. */
export interface End {
  readonly database: Database;
  readonly client: Client;
  readonly machines: ReadonlyMap<string, Machine>;
  readonly problem: (invariant: string, what: string) => void;
  /** Cpu that each run used, by `task#attempt`, of those whose end its machine saw and could tell. */
  readonly used: ReadonlyMap<string, number>;
  /** Ended elements as they were when they were folded. */
  readonly folded: ReadonlyMap<string, TruthRow>;
  /** What storage says of a task. */
  readonly get: (id: string) => Promise<StoredEnd>;
}

/** Whether nothing is left to do; until then the world continues, for a while. */
export function isAtRest({ database, client, machines }: Pick<End, "database" | "client" | "machines">): boolean {
  if (client.open > 0) return false;
  for (const machine of machines.values()) if (machine.processes.size > 0) return false;
  for (const { state } of readTruth(database).values()) if (state < codes.over) return false;
  return true;
}

export async function checkTheEnd(end: End): Promise<void> {
  nothingWaitsForEver(end);
  noOrphans(end);
  usageIsTheSumOverRuns(end);
  noLoadLeft(end);
  await foldedElementsStayAsTheyEnded(end);
}

/** Every task that was acknowledged is over. */
function nothingWaitsForEver({ database, client, problem }: End): void {
  if (client.open > 0) problem("nothingWaitsForEver", `${client.open} submits were never answered`);
  for (const { id, state, attempt, host, request } of readTruth(database).values())
    if (state < codes.over)
      problem(
        "nothingWaitsForEver",
        `${id} is in state ${state}#${attempt} on ${host || "no host"}, request ${request}`,
      );
}

/** No run is left on a machine that no agent will end or clean up. */
function noOrphans({ machines, problem }: End): void {
  for (const { hostId, processes } of machines.values())
    for (const [key, { phase, paused }] of processes)
      problem("noOrphans", `${key} is still on ${hostId}, ${paused ? "paused" : phase}`);
}

/** Each run is charged once, with what it used; the ledger is the sum. */
function usageIsTheSumOverRuns({ database, used, folded, problem }: End): void {
  const attempts = readAttempts(database);
  const rows = new Map([...folded, ...readTruth(database)]);
  let sum = 0;
  for (const { cpuMs } of attempts.values()) sum += cpuMs ?? 0;
  for (const { cpuMs, isArray } of rows.values()) if (!isArray) sum += cpuMs ?? 0;
  for (const [key, cpuMs] of used) {
    const [id = "", attempt] = key.split("#");
    const row = rows.get(id);
    // Of a run that was given up, and reported after all, beside the record.
    const kept = attempts.get(key)?.cpuMs ?? (row?.attempt === Number(attempt) ? row.cpuMs : undefined);
    if (kept !== cpuMs) problem("usageIsTheSumOverRuns", `${key} used ${cpuMs} ms, and ${kept ?? "nothing"} is kept`);
  }
  const charged = readCharged(database);
  if (charged.cpuMs !== sum)
    problem("usageIsTheSumOverRuns", `${charged.cpuMs} ms are charged, and the runs used ${sum}`);
}

/** A folded element is read as it was. */
async function foldedElementsStayAsTheyEnded({ folded, get, problem }: End): Promise<void> {
  for (const [id, was] of folded) {
    const is = await get(id);
    if (is.attempt !== was.attempt || is.outcome !== was.outcome || is.cpuMs !== (was.cpuMs ?? 0))
      problem("foldedElementsStayAsTheyEnded", `${id} was ${JSON.stringify(was)} and is ${JSON.stringify(is)}`);
  }
}

/** No host has any load in the database. */
function noLoadLeft({ database, problem }: End): void {
  for (const [host, { live, cpuMilli }] of readLoad(database))
    if (live !== 0 || cpuMilli !== 0) problem("noLoadLeft", `${host} is said to carry ${live} tasks`);
}
