import type { Resources } from "@berth/core";
import type { RankedTask } from "./ranking.ts";
import type { TaskRecord } from "./records.ts";
import type { Shape } from "./shapes.ts";

/** The elements that one cycle claims, before the plan is held. */
export class ClaimDrafts {
  readonly #drafts = new Map<TaskRecord, { next: number; extra: number }>();

  next(array: TaskRecord): number {
    return this.#drafts.get(array)?.next ?? array.array!.next;
  }

  /** Whether the array's limit allows another live element. */
  mayAdd(array: TaskRecord): boolean {
    return !array.array!.atLimit(this.#drafts.get(array)?.extra ?? 0);
  }

  /** One more element is live; `index` if it was claimed. */
  add(array: TaskRecord, index: number | undefined): void {
    let draft = this.#drafts.get(array);
    if (!draft) this.#drafts.set(array, (draft = { next: array.array!.next, extra: 0 }));
    draft.extra++;
    if (index !== undefined) draft.next = array.array!.after(index);
  }
}

/** Walks through a shape during one cycle. Its head is the next task to place. */
export class Turn implements RankedTask {
  readonly shape: Shape;
  owner: UserTurns | undefined = undefined;
  head!: TaskRecord;
  /** Of a claim: the element. */
  index: number | undefined = undefined;
  done = false;
  #at = -1;

  constructor(shape: Shape, claims: ClaimDrafts) {
    this.shape = shape;
    this.#seek(shape.from(0), claims);
  }

  get taskId(): string {
    return this.index === undefined ? this.head.id : `${this.head.number}.${this.index}`;
  }
  get number(): number {
    return this.head.number;
  }
  get user(): string {
    return this.shape.user;
  }
  get project(): string {
    return this.shape.project;
  }
  get priority(): number {
    return this.shape.priority;
  }
  get needs(): Resources {
    return this.shape.needs;
  }
  get submittedAtMs(): number {
    return this.head.createdAtMs;
  }

  /** The head is placed: on to the next. */
  placed(claims: ClaimDrafts): void {
    if (this.index !== undefined) {
      claims.add(this.head, this.index);
      this.#seek(this.#at, claims);
      return;
    }
    if (this.head.parent?.array) claims.add(this.head.parent, undefined);
    this.#seek(this.shape.from(this.#at + 1), claims);
  }

  /** Stops at the first task that may be placed. An array at its limit, or an element of it, is passed over. */
  #seek(from: number, claims: ClaimDrafts): void {
    for (this.#at = from; this.#at >= 0; this.#at = this.shape.from(this.#at + 1)) {
      const record = this.shape.at(this.#at);
      if (record.array) {
        const index = claims.next(record);
        if (index > record.array.last || !claims.mayAdd(record)) continue;
        this.head = record;
        this.index = index;
        return;
      }
      if (record.parent?.array && !claims.mayAdd(record.parent)) continue;
      this.head = record;
      this.index = undefined;
      return;
    }
    this.done = true;
  }
}

/** One user's turns by priority. A lower priority has its turn when all of the higher ones are done or fit nowhere. */
export class UserTurns {
  readonly #levels: Turn[][] = [];
  #active = 0;

  constructor(turns: Turn[]) {
    for (const turn of turns.length > 1 ? turns.toSorted((a, b) => a.priority - b.priority) : turns) {
      turn.owner = this;
      const level = this.#levels.at(-1);
      if (level && level[0]!.priority === turn.priority) level.push(turn);
      else this.#levels.push([turn]);
    }
  }

  nextLevel(): readonly Turn[] {
    const level = this.#levels.pop() ?? [];
    this.#active = level.length;
    return level;
  }

  /** One turn of the level is done: returns the next level if it was the last one. */
  retire(): readonly Turn[] {
    return --this.#active === 0 ? this.nextLevel() : [];
  }
}

export function openTurns(shapes: Iterable<Shape>, claims: ClaimDrafts): UserTurns[] {
  const byUser = new Map<string, Turn[]>();
  for (const shape of shapes) {
    const turn = new Turn(shape, claims);
    if (turn.done) continue;
    const turns = byUser.get(shape.user);
    if (turns) turns.push(turn);
    else byUser.set(shape.user, [turn]);
  }
  return [...byUser.values()].map((turns) => new UserTurns(turns));
}
