import type { Outcome } from "@berth/core";
import type { Database } from "@berth/database";

/** A record as the database has it; read past the store, which must not be its own witness. */
export interface TruthRow {
  readonly id: string;
  readonly number: number;
  readonly idx: number;
  readonly state: number;
  readonly attempt: number;
  readonly host: string;
  readonly outcome: Outcome | undefined;
  readonly request: number;
  readonly cpuMs: number | undefined;
  readonly isArray: boolean;
}

export const codes = { pending: 1, placed: 2, running: 3, suspended: 4, over: 5, archived: 6 } as const;

const outcomes: readonly Outcome[] = [
  "succeeded",
  "failed",
  "killed",
  "timed_out",
  "out_of_memory",
  "lost",
  "rejected",
  "dependency_failed",
];

export const isLiveRow = ({ state, isArray }: TruthRow): boolean =>
  !isArray && state >= codes.placed && state <= codes.suspended;

/** All records by id. */
export function readTruth(db: Database): Map<string, TruthRow> {
  const rows = new Map<string, TruthRow>();
  const all = db.sql(
    "SELECT t.number, t.idx, t.state, t.attempt, t.host, t.outcome, t.request, t.cpu_ms, s.is_array FROM tasks t JOIN specs s ON s.number = t.number",
  );
  for (const row of all.all()) {
    const number = Number(row["number"]);
    const idx = Number(row["idx"]);
    const id = idx < 0 ? `${number}` : `${number}.${idx}`;
    rows.set(id, {
      id,
      number,
      idx,
      state: Number(row["state"]),
      attempt: Number(row["attempt"]),
      host: String(row["host"]),
      outcome: outcomes[Number(row["outcome"]) - 1],
      request: Number(row["request"]),
      cpuMs: row["cpu_ms"] === null ? undefined : Number(row["cpu_ms"]),
      isArray: Number(row["is_array"]) === 1 && idx < 0,
    });
  }
  return rows;
}

export interface ArrayRow {
  readonly number: number;
  readonly maxLive: number;
  readonly live: number;
  readonly waiting: number;
  readonly cursor: number;
  readonly last: number;
}

export const readArrays = (db: Database): ArrayRow[] =>
  db
    .sql("SELECT number, max_live, live, waiting, cursor, last FROM arrays")
    .all()
    .map((row) => ({
      number: Number(row["number"]),
      maxLive: Number(row["max_live"]),
      live: Number(row["live"]),
      waiting: Number(row["waiting"]),
      cursor: Number(row["cursor"]),
      last: Number(row["last"]),
    }));

/** The load of each host in the database. */
export const readLoad = (db: Database): Map<string, { readonly live: number; readonly cpuMilli: number }> =>
  new Map(
    db
      .sql("SELECT host, live, cpu_milli FROM host_load")
      .all()
      .map((row) => [String(row["host"]), { live: Number(row["live"]), cpuMilli: Number(row["cpu_milli"]) }]),
  );

export const readCpuMilli = (db: Database): Map<number, number> =>
  new Map(
    db
      .sql("SELECT number, cpu_milli FROM specs")
      .all()
      .map((row) => [Number(row["number"]), Number(row["cpu_milli"])]),
  );

/** Attempts that were given up, by `task#attempt`: what they used, where that is known. */
export const readAttempts = (db: Database): Map<string, { readonly cpuMs: number | undefined }> =>
  new Map(
    db
      .sql("SELECT number, idx, attempt, cpu_ms FROM attempts")
      .all()
      .map((row) => {
        const idx = Number(row["idx"]);
        const id = idx < 0 ? `${String(row["number"])}` : `${String(row["number"])}.${idx}`;
        return [
          `${id}#${String(row["attempt"])}`,
          { cpuMs: row["cpu_ms"] === null ? undefined : Number(row["cpu_ms"]) },
        ];
      }),
  );

/** The usage ledger's sum. */
export const readCharged = (db: Database): { readonly runs: number; readonly cpuMs: number } => {
  const row = db.sql("SELECT coalesce(sum(runs), 0) AS runs, coalesce(sum(cpu_ms), 0) AS cpu FROM usage_daily").get();
  return { runs: Number(row?.["runs"]), cpuMs: Number(row?.["cpu"]) };
};

export const readCounts = (db: Database): Map<number, number> =>
  new Map(
    db
      .sql("SELECT state, sum(n) AS n FROM task_counts GROUP BY state")
      .all()
      .map((row) => [Number(row["state"]), Number(row["n"])]),
  );

export const readLastRevision = (db: Database): number =>
  Number(db.sql("SELECT max(revision) AS last FROM changes").get()?.["last"] ?? 0);
