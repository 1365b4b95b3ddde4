import { remainingFrom } from "@berth/core";
import type { ArrayFacts } from "./feed.ts";

/** How far an array is claimed, by the database and by plans that are being committed. */
export class ArrayClaims {
  last: number;
  step: number;
  maxLive: number;
  /** Elements held, placed, running or suspended. */
  live = 0;
  /** Next index to claim, after those in open plans; never a skipped one. */
  next: number;
  #committed: number;
  /** Indexes that ended before they were claimed; the cursor steps over them. */
  readonly #skip = new Set<number>();

  constructor(facts: ArrayFacts) {
    this.last = facts.last;
    this.step = facts.step;
    this.maxLive = facts.maxLive;
    this.#committed = facts.cursor;
    this.next = facts.cursor;
  }

  apply(facts: ArrayFacts): void {
    this.last = facts.last;
    this.maxLive = facts.maxLive;
    this.#committed = Math.max(this.#committed, facts.cursor);
    for (const index of this.#skip) if (index < this.#committed) this.#skip.delete(index);
    this.claimedUpTo(this.#committed);
  }

  /** Elements before `next` are claimed. */
  claimedUpTo(next: number): void {
    this.next = this.#settled(Math.max(this.next, next));
  }

  /** Storage refused a claim: planning resumes at that index. */
  takeBack(index: number): void {
    this.next = this.#settled(Math.max(this.#committed, Math.min(this.next, index)));
  }

  /** The element has a record already, so it must not be claimed. */
  skip(index: number): void {
    if (index < this.#committed) return;
    this.#skip.add(index);
    this.next = this.#settled(this.next);
  }

  /** The element after `index` that can be claimed; beyond `last` where there is none. */
  after(index: number): number {
    return this.#settled(index + this.step);
  }

  /** Whether that element is still to be claimed. */
  awaits(index: number): boolean {
    return index >= this.next && index <= this.last && (index - this.next) % this.step === 0 && !this.#skip.has(index);
  }

  unclaimed(): number {
    const rest = remainingFrom(this, this.next);
    if (this.#skip.size === 0) return rest;
    let skipped = 0;
    for (const index of this.#skip) if (index >= this.next) skipped++;
    return rest - skipped;
  }

  get first(): number {
    return this.#committed;
  }

  get exhausted(): boolean {
    return this.next > this.last;
  }

  atLimit(extra = 0): boolean {
    return this.maxLive > 0 && this.live + extra >= this.maxLive;
  }

  #settled(index: number): number {
    let at = index;
    while (this.#skip.has(at)) at += this.step;
    return at;
  }
}
