import type { Database } from "@berth/database";
import { RetentionClock } from "../../domain/retention-clock.ts";
import { readMeta, writeMeta } from "./meta.ts";

const keepEveryMs = 600_000;
const clockKey = "clock_believed_at";

/** The clock of archiving and deleting. The database keeps the time at which it was last trusted. */
export class KeptRetentionClock {
  readonly #db: Database;
  readonly #clock: RetentionClock;
  #believedAtMs: number | undefined;
  #keptAt: number;

  constructor(db: Database, onDoubt: (believedAtMs: number, nowMs: number) => void) {
    this.#db = db;
    this.#clock = new RetentionClock(onDoubt);
    const kept = readMeta(db, clockKey);
    this.#keptAt = kept === undefined ? -Infinity : Number(kept);
    this.#believedAtMs = kept === undefined ? undefined : Number(kept);
  }

  /** Call it in a transaction. */
  believes(now: number): boolean {
    const { believed, believedAtMs } = this.#clock.look(this.#believedAtMs, now);
    this.#believedAtMs = believedAtMs;
    if (believed && Math.abs(now - this.#keptAt) >= keepEveryMs) {
      writeMeta(this.#db, clockKey, String(now));
      this.#keptAt = now;
    }
    return believed;
  }
}
