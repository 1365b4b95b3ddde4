import type { MongoCalls, Session } from "./calls.ts";
import type { DatabaseClock } from "./database-clock.ts";
import { bytes } from "./spec-doc.ts";

/** If our writes were refused for this long and no other store's write succeeded, we end the other stores' sessions. */
const stuckAfterMs = 1_200;
const stuckAtMost = 60_000;
const publishEveryMs = 3_600_000;
const forgottenMs = 86_400_000;

/**
 * A store that is killed within a transaction leaves it open at the server, and keeps the writer document locked until the server's own timeout (a minute). So each
 * store publishes the session in which it writes. A store that is refused while no write succeeds ends the published sessions. For a store that was only slow this
 * is one more write conflict, and the wait is doubled each time.
 *
 * A store can also block itself: if its connection breaks, the transaction stays open under the old session, and conflicts with the store's next one.
 */
export class StaleSessions {
  readonly #calls: MongoCalls;
  readonly #copy: string;
  readonly #clock: DatabaseClock;
  #published = "";
  #publishedAt = Number.NEGATIVE_INFINITY;
  #turn = -1;
  #since = 0;
  #allowedMs = stuckAfterMs;
  /** Our own earlier sessions in which a transaction may still be open. */
  #left: Uint8Array[] = [];

  constructor(calls: MongoCalls, copy: string, clock: DatabaseClock) {
    this.#calls = calls;
    this.#copy = copy;
    this.#clock = clock;
  }

  /** The server did not answer how a transaction in that session ended, so it may still be open. */
  leave(session: Session): void {
    this.#left.push(this.#calls.sessionId(session));
  }

  /** Ends our sessions that may still be open, because after our end no store knows of them. */
  async endLeft(): Promise<void> {
    if (this.#left.length === 0) return;
    const ids = this.#left;
    await this.#calls.killSessions(ids);
    this.#left = this.#left.filter((id) => !ids.includes(id));
  }

  /** Publishes a session before its first use, and ends our earlier ones that may still be open. */
  async publish(session: Session): Promise<void> {
    await this.endLeft();
    const id = Buffer.from(this.#calls.sessionId(session)).toString("hex");
    if (id === this.#published && performance.now() - this.#publishedAt < publishEveryMs) return;
    const update = { $set: { session: Buffer.from(id, "hex"), at: this.#clock.now() } };
    await this.#calls.bulkWrite("copies", [
      { updateOne: { filter: { _id: this.#copy as never }, update, upsert: true } },
    ]);
    this.#published = id;
    this.#publishedAt = performance.now();
  }

  /** One of our writes succeeded. */
  wentOn(): void {
    this.#turn = -1;
    this.#allowedMs = stuckAfterMs;
  }

  /** One of our writes was refused again. Ends the other stores' sessions if no write has succeeded for too long; answers whether it did. */
  async look(): Promise<boolean> {
    const [writer] = await this.#calls.find("meta", { _id: "writer" }, { projection: { turn: 1 } });
    const turn = Number(writer?.["turn"] ?? 0);
    const now = performance.now();
    if (turn !== this.#turn) {
      if (this.#turn >= 0) this.#allowedMs = stuckAfterMs;
      this.#turn = turn;
      this.#since = now;
      return false;
    }
    if (now - this.#since < this.#allowedMs) return false;
    this.#since = now;
    this.#allowedMs = Math.min(stuckAtMost, 2 * this.#allowedMs);
    await this.#endOthers();
    return true;
  }

  async #endOthers(): Promise<void> {
    const others = await this.#calls.find("copies", { _id: { $ne: this.#copy } });
    if (others.length === 0) return;
    await this.#calls.killSessions(others.map((doc) => bytes(doc["session"])));
    await this.#calls.deleteMany("copies", { at: { $lt: this.#clock.now() - forgottenMs } });
  }
}
