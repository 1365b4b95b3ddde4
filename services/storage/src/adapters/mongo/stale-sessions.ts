import type { MongoCalls, Session } from "./calls.ts";
import type { DatabaseClock } from "./database-clock.ts";
import { bytes } from "./spec-doc.ts";

/** How long nobody may have written while we were refused, before the others' transactions are ended. */
const stuckAfterMs = 1_200;
const stuckAtMost = 60_000;
const publishEveryMs = 3_600_000;
const forgottenMs = 86_400_000;

/**
 * A store that is killed within a transaction leaves it open at the server, with the writer document in its hand, until the server's own limit (a minute). So each
 * store tells the others which session it writes in; who is kept waiting while nobody's write goes through ends those sessions. To a store that lives and was
 * only slow it is one more conflict, and each time it is waited for twice as long.
 *
 * The same happens to a store by itself where its connection broke: the transaction stays open under a session that it uses no more, and refuses its own next one.
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
  /** Of ours, where a transaction may still be open. */
  #left: Uint8Array[] = [];

  constructor(calls: MongoCalls, copy: string, clock: DatabaseClock) {
    this.#calls = calls;
    this.#copy = copy;
    this.#clock = clock;
  }

  /** Nobody answered how a transaction in that session ended: it may be open still. */
  leave(session: Session): void {
    this.#left.push(this.#calls.sessionId(session));
  }

  /** Ends what is left open, which no other store is told of any more. */
  async endLeft(): Promise<void> {
    if (this.#left.length === 0) return;
    const ids = this.#left;
    await this.#calls.killSessions(ids);
    this.#left = this.#left.filter((id) => !ids.includes(id));
  }

  /** Tells the others of a session before it is first used, and ends what ours before it left open. */
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

  /** A write of ours went through. */
  wentOn(): void {
    this.#turn = -1;
    this.#allowedMs = stuckAfterMs;
  }

  /** We were refused again. Ends the others' transactions where nobody has written for too long; tells whether it did. */
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
