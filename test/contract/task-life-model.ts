import { isLive, isTerminal, move } from "@berth/core";
import type { Move, TaskEvent, TaskLife } from "@berth/core";

/** Tasks, and elements of an array beside them. */
export const singles = 2;
export const elements = 4;
export const tasks = singles + elements;

/** The state machine of the core, with an array's cursor and kill beside it: what the store has to agree with. */
export class Model {
  readonly ids: string[];
  readonly lives: TaskLife[];
  /** Where each attempt of each was placed. */
  readonly hosts: Map<number, string>[];
  /** How often each was lost, and went back to pending by that. */
  readonly losses: number[];
  arrayKilled = false;
  maxLive = 0;

  constructor(ids: string[]) {
    this.ids = ids;
    this.lives = ids.map(() => ({ state: { kind: "pending", attempt: 0 }, request: undefined }));
    this.hosts = ids.map(() => new Map());
    this.losses = ids.map(() => 0);
  }

  isElement(at: number): boolean {
    return at >= singles;
  }

  /** A kill of the array is a kill of each element; the wish itself is the array's. */
  effective(at: number): TaskLife {
    const life = this.lives[at]!;
    return this.isElement(at) && this.arrayKilled && !isTerminal(life.state.kind) ? { ...life, request: "kill" } : life;
  }

  apply(at: number, event: TaskEvent): Move {
    // The array's kill decides where a kill decides; it is not the element's own wish.
    const decided = event.kind === "place" || event.kind === "refused" || event.kind === "lost";
    const answer = move(decided ? this.effective(at) : this.lives[at]!, event);
    if (answer.kind === "moved") this.lives[at] = answer.life;
    return answer;
  }

  /** The first waits for its host; the others ask to be tried again. */
  isRetried(at: number): boolean {
    return at > 0;
  }

  lose(at: number): Move {
    const { attempt } = this.lives[at]!.state;
    const retry = this.isRetried(at) && this.losses[at]! < 5;
    const answer = this.apply(at, { kind: "lost", attempt, retry, reason: { code: "LOST", message: "" } });
    if (this.lives[at]!.state.kind === "pending") this.losses[at]! += 1;
    return answer;
  }

  /** Live ones on a host. */
  on(host: string): number[] {
    return this.lives.flatMap(({ state }, at) => ("hostId" in state && state.hostId === host ? [at] : []));
  }

  elements(): TaskLife[] {
    return this.lives.slice(singles);
  }

  get arrayOver(): boolean {
    return this.elements().every(({ state }) => isTerminal(state.kind));
  }

  atLimit(at: number): boolean {
    const live = this.elements().filter(({ state }) => isLive(state.kind)).length;
    return this.isElement(at) && this.maxLive > 0 && live >= this.maxLive;
  }

  /** All that is over, elements together with their array. */
  archive(): void {
    this.lives.forEach(({ state }, at) => {
      if (state.kind === "over" && (!this.isElement(at) || this.arrayOver)) this.apply(at, { kind: "archive" });
    });
  }

  /** The next element that is to be claimed. */
  cursor(): number {
    const at = this.lives.findIndex(
      (life, i) => this.isElement(i) && life.state.kind === "pending" && life.state.attempt === 0,
    );
    return at < 0 ? tasks : at;
  }

  killArray(): void {
    if (this.arrayOver) return;
    this.arrayKilled = true;
    for (let at = singles; at < tasks; at++)
      if (this.lives[at]!.state.kind === "pending") this.apply(at, { kind: "request", request: "kill" });
  }
}

/** `usualRuns`: how many sequences, where the environment does not say; a slow database has fewer in the quick run. */
