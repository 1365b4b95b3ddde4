import type { Database } from "@berth/database";
import { lookAtClock } from "../../domain/clock-doubt.ts";
import type { ClockSeen } from "../../domain/clock-doubt.ts";

const keepEveryMs = 600_000;

/** Whether the clock is believed for what removes things; the last time that was is kept in the database. */
export class HouseClock {
  readonly #db: Database;
  readonly #onDoubt: (believedAtMs: number, nowMs: number) => void;
  #seen: ClockSeen;
  #keptAt: number;

  constructor(db: Database, onDoubt: (believedAtMs: number, nowMs: number) => void) {
    this.#db = db;
    this.#onDoubt = onDoubt;
    const kept = db.sql("SELECT value FROM meta WHERE key = 'clock_believed_at'").get()?.["value"];
    this.#keptAt = kept === undefined ? -Infinity : Number(kept);
    this.#seen = { believedAtMs: kept === undefined ? undefined : Number(kept) };
  }

  /** To be called in a transaction. */
  believes(now: number): boolean {
    const before = this.#seen;
    const { believed, ...seen } = lookAtClock(before, now);
    this.#seen = seen;
    if (!believed && before.doubtSinceMs === undefined) this.#onDoubt(seen.believedAtMs!, now);
    if (believed && Math.abs(now - this.#keptAt) >= keepEveryMs) {
      this.#db
        .sql(
          "INSERT INTO meta (key, value) VALUES ('clock_believed_at', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        )
        .run(String(now));
      this.#keptAt = now;
    }
    return believed;
  }
}
