import type { Migration } from "@berth/database";

/**
 * The database's form. Thought for the two writes of a short task's life (placed, over): what never changes is in `specs`,
 * once for a whole array; `tasks` is narrow; and a partial index holds the live ones, so that snapshots and cold starts never touch ended ones.
 *
 * prior: the state before, because RETURNING tells only new values.
 * state: 1 pending, 2 placed, 3 running, 4 suspended, 5 over, 6 archived. idx: index of an element; -1 for a task or an array.
 */
export const migrations: readonly Migration[] = [
  {
    version: 1,
    up: [
      `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID`,

      // head: the unchanging fields of the feed's TaskRow, encoded; deps: its dependencies, sent only while pending.
      // Small columns first: SQLite then reads them without following the overflow pages of a long spec.
      `CREATE TABLE specs (
         number INTEGER PRIMARY KEY,
         user TEXT NOT NULL, project TEXT NOT NULL, name TEXT NOT NULL,
         is_array INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL,
         cpu_milli INTEGER NOT NULL, memory_bytes INTEGER NOT NULL,
         created_at INTEGER NOT NULL,
         head BLOB NOT NULL, deps BLOB,
         run_spec BLOB NOT NULL
       ) STRICT`,

      `CREATE TABLE tasks (
         number INTEGER NOT NULL, idx INTEGER NOT NULL,
         user TEXT NOT NULL,
         state INTEGER NOT NULL, prior INTEGER NOT NULL DEFAULT 0, attempt INTEGER NOT NULL, revision INTEGER NOT NULL,
         request INTEGER NOT NULL DEFAULT 0, request_by TEXT NOT NULL DEFAULT '',
         host TEXT NOT NULL DEFAULT '', journal TEXT NOT NULL DEFAULT '',
         detail TEXT NOT NULL DEFAULT '', avoid TEXT NOT NULL DEFAULT '',
         outcome INTEGER NOT NULL DEFAULT 0,
         reason_code TEXT NOT NULL DEFAULT '', reason_message TEXT NOT NULL DEFAULT '',
         exit_code INTEGER, signal INTEGER,
         placed_at INTEGER, started_at INTEGER, ended_at INTEGER,
         cpu_ms INTEGER, peak_memory_bytes INTEGER, wall_ms INTEGER,
         stdout_bytes INTEGER, stderr_bytes INTEGER,
         enforced TEXT NOT NULL DEFAULT '',
         PRIMARY KEY (number, idx)
       ) STRICT, WITHOUT ROWID`,
      `CREATE INDEX tasks_live ON tasks (number, idx) WHERE state < 5`,
      `CREATE INDEX tasks_by_user ON tasks (user, number) WHERE idx = -1`,
      `CREATE INDEX tasks_live_by_user ON tasks (user, number) WHERE idx = -1 AND state < 5`,

      // How far arrays are; their state and request are in tasks. ended: JSON, outcome to count.
      `CREATE TABLE arrays (
         number INTEGER PRIMARY KEY,
         first INTEGER NOT NULL, last INTEGER NOT NULL, step INTEGER NOT NULL, max_live INTEGER NOT NULL,
         cursor INTEGER NOT NULL, early INTEGER NOT NULL, live INTEGER NOT NULL, waiting INTEGER NOT NULL,
         ended TEXT NOT NULL, cpu_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL
       ) STRICT`,

      // Attempts that were followed by another, or given up.
      `CREATE TABLE attempts (
         number INTEGER NOT NULL, idx INTEGER NOT NULL, attempt INTEGER NOT NULL,
         host TEXT NOT NULL, outcome INTEGER NOT NULL, reason_code TEXT NOT NULL, reason_message TEXT NOT NULL,
         ended_at INTEGER NOT NULL, cpu_ms INTEGER, peak_memory_bytes INTEGER, wall_ms INTEGER,
         PRIMARY KEY (number, idx, attempt)
       ) STRICT, WITHOUT ROWID`,

      // The change feed. Revisions come from this process, which is the only writer, and the last row is never purged: so none is
      // used twice, without the second table that AUTOINCREMENT would write for each row.
      `CREATE TABLE changes (
         revision INTEGER PRIMARY KEY, at INTEGER NOT NULL, user TEXT, row BLOB NOT NULL
       ) STRICT`,

      `CREATE TABLE client_keys (
         user TEXT NOT NULL, key TEXT NOT NULL, number INTEGER NOT NULL, spec_hash BLOB NOT NULL,
         PRIMARY KEY (user, key)
       ) STRICT, WITHOUT ROWID`,

      `CREATE TABLE leases (
         name TEXT PRIMARY KEY, holder TEXT NOT NULL, term INTEGER NOT NULL, expires_at INTEGER NOT NULL
       ) STRICT, WITHOUT ROWID`,

      // said: Host as its agent last said it, encoded.
      `CREATE TABLE hosts (
         id TEXT PRIMARY KEY, said BLOB NOT NULL, silent INTEGER NOT NULL, seen_at INTEGER NOT NULL, revision INTEGER NOT NULL
       ) STRICT, WITHOUT ROWID`,

      // Running sums, written once a batch: counting would read everything.
      `CREATE TABLE host_load (
         host TEXT PRIMARY KEY, live INTEGER NOT NULL, cpu_milli INTEGER NOT NULL, memory_bytes INTEGER NOT NULL
       ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE task_counts (
         user TEXT NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (user, state)
       ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE usage_daily (
         day TEXT NOT NULL, user TEXT NOT NULL, project TEXT NOT NULL,
         runs INTEGER NOT NULL, cpu_ms INTEGER NOT NULL, core_ms INTEGER NOT NULL, memory_mib_s INTEGER NOT NULL,
         PRIMARY KEY (day, user, project)
       ) STRICT, WITHOUT ROWID`,
    ],
  },
  {
    version: 2,
    up: [
      // Ended elements of arrays, a thousand indexes a row; see folded-chunk.ts. outcomes: a bit for each outcome in it.
      `CREATE TABLE folded (
         number INTEGER NOT NULL, chunk INTEGER NOT NULL,
         n INTEGER NOT NULL, outcomes INTEGER NOT NULL, body BLOB NOT NULL,
         PRIMARY KEY (number, chunk)
       ) STRICT`,
      // settled: it is over, and none of its elements has a record any more.
      `ALTER TABLE arrays ADD COLUMN settled INTEGER NOT NULL DEFAULT 0`,
      `CREATE INDEX arrays_unsettled ON arrays (number) WHERE settled = 0`,

      // Tasks and arrays that ended, by this database's clock (ended_at is the host's). phase: 0 over, 1 archived, 2 its records are gone, its chunks go.
      `CREATE TABLE expiry (number INTEGER PRIMARY KEY, phase INTEGER NOT NULL, over_at INTEGER NOT NULL) STRICT`,
      `CREATE INDEX expiry_by_time ON expiry (phase, over_at)`,
      `INSERT INTO expiry (number, phase, over_at) SELECT number, 0, coalesce(ended_at, 0) FROM tasks WHERE idx = -1 AND state = 5`,

      // So that a record's key can go with it.
      `ALTER TABLE specs ADD COLUMN client_key TEXT`,
      `CREATE INDEX client_keys_once ON client_keys (number)`,
      `UPDATE specs SET client_key = (SELECT key FROM client_keys k WHERE k.number = specs.number)`,
      `DROP INDEX client_keys_once`,
    ],
  },
  {
    version: 3,
    up: [
      // How long a run may go on without its host being heard: positive, then it is retried; negative, then it fails; 0: it waits for its host.
      `ALTER TABLE tasks ADD COLUMN lease_ms INTEGER NOT NULL DEFAULT 0`,
      `CREATE INDEX tasks_leased ON tasks (host) WHERE lease_ms <> 0 AND state IN (2, 3, 4)`,
      // The operator who declared a host lost, until it is heard of again.
      `ALTER TABLE hosts ADD COLUMN lost_by TEXT NOT NULL DEFAULT ''`,
    ],
  },
  {
    version: 4,
    up: [
      `ALTER TABLE tasks ADD COLUMN stdout_lost_bytes INTEGER`,
      `ALTER TABLE tasks ADD COLUMN stderr_lost_bytes INTEGER`,
      `ALTER TABLE tasks ADD COLUMN oom_kills INTEGER`,
    ],
  },
  {
    version: 5,
    up: [
      // After which ends a task is retried, in words (LossColumns); before, it was the sign of lease_ms. A number that no program can count with stays: it
      // harms its own task alone.
      `ALTER TABLE tasks ADD COLUMN retry_on TEXT NOT NULL DEFAULT ''`,
      `UPDATE tasks SET retry_on = iif(lease_ms > 0, 'lost', ''), lease_ms = abs(lease_ms)
       WHERE lease_ms <> 0 AND lease_ms BETWEEN ${Number.MIN_SAFE_INTEGER} AND ${Number.MAX_SAFE_INTEGER}`,
    ],
  },
];
