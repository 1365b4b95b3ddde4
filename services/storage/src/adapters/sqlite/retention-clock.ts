import type { Database } from "@berth/database";
import { lookAtClock } from "../../domain/clock-doubt.ts";
import type { ClockSeen } from "../../domain/clock-doubt.ts";
import { readMeta, writeMeta } from "./meta.ts";

const keepEveryMs = 600_000;
const clockKey = "clock_believed_at";

/** Tells whether the clock may be trusted to delete by; the last trusted time is stored in the database. */
export class RetentionClock {
  readonly #db: Database;
  readonly #onDoubt: (believedAtMs: number, nowMs: number) => void;
  #seen: ClockSeen;
  #keptAt: number;

  constructor(db: Database, onDoubt: (believedAtMs: number, nowMs: number) => void) {
    this.#db = db;
    this.#onDoubt = onDoubt;
    const kept = readMeta(db, clockKey);
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
      writeMeta(this.#db, clockKey, String(now));
      this.#keptAt = now;
    }
    return believed;
  }
}
