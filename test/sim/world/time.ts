/** One life of a process: from its start to its death. What a dead one still wanted to do does not happen. */
export class Life {
  readonly name: string;
  alive = true;
  /** How fast its clocks go: 1.2 is a fifth too fast. */
  rate = 1;
  /** How far its wall clock is off, in milliseconds. */
  wallOffsetMs = 0;
  paused = false;
  readonly backlog: VirtualEvent[] = [];
  readonly #onDeath: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Called in the moment of death; the world's business, not the process's own. */
  onDeath(fn: () => void): void {
    this.#onDeath.push(fn);
  }

  kill(): void {
    if (!this.alive) return;
    this.alive = false;
    this.backlog.length = 0;
    for (const fn of this.#onDeath.splice(0)) fn();
  }
}

export interface VirtualEvent {
  atMs: number;
  order: number;
  readonly owner: Life;
  readonly fn: () => void;
  cancelled: boolean;
}

/** Where wall clocks begin. */
const birthMs = Date.UTC(2026, 0, 1);
const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  clearImmediate: globalThis.clearImmediate,
  Date: globalThis.Date,
  random: Math.random,
  now: performance.now,
};

/**
 * Time of a simulated world: a heap of events, each of one process. Everything that an event leads to within its process happens before the next event, since a
 * turn of the real event loop, with all its promises, stands between two; and what crosses from one process to another is an event of the other. So whoever asks
 * for the time or sets a timer is the process whose event is under way, and production code needs no seam for its clock: it finds ours in the global names.
 */
export class VirtualTime {
  readonly world = new Life("world");
  nowMs = 0;
  current: Life = this.world;
  events = 0;
  #order = 0;
  readonly #heap: VirtualEvent[] = [];

  /** Runs `fn` as that process after the delay; does nothing if the process is dead by then. */
  at(owner: Life, delayMs: number, fn: () => void): VirtualEvent {
    const event = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, owner, fn, cancelled: false };
    if (owner.alive) this.#push(event);
    return event;
  }

  /** Stops a process without its knowing; timers and messages wait for it. */
  pause(life: Life): void {
    life.paused = true;
  }

  resume(life: Life): void {
    life.paused = false;
    for (const event of life.backlog.splice(0)) {
      event.atMs = this.nowMs;
      event.order = this.#order++;
      this.#push(event);
    }
  }

  /** Runs events until there is none or `done` says so, which is asked after each. */
  async run(done: () => boolean): Promise<void> {
    for (let event = this.#pop(); event; event = this.#pop()) {
      if (event.cancelled || !event.owner.alive) continue;
      this.nowMs = event.atMs;
      if (event.owner.paused) {
        event.owner.backlog.push(event);
        continue;
      }
      this.events += 1;
      this.current = event.owner;
      event.cancelled = true;
      event.fn();
      await new Promise<void>((resolve) => void real.setImmediate(resolve));
      this.current = this.world;
      if (done()) return;
    }
  }

  elapsedMs(life: Life = this.current): number {
    return this.nowMs * life.rate;
  }

  wallMs(life: Life = this.current): number {
    return Math.floor(birthMs + this.elapsedMs(life) + life.wallOffsetMs);
  }

  /** Puts this world's clocks, timers and dice where the machine's were; call what it returns to put those back. */
  install(random: () => number): () => void {
    const wallMs = (): number => this.wallMs();
    class VirtualDate extends real.Date {
      constructor(...args: readonly unknown[]) {
        if (args.length === 0) super(wallMs());
        else super(...(args as [number]));
      }
      static override now(): number {
        return wallMs();
      }
    }
    const timer = (ms: number, fn: () => void, again: boolean) => new Timer(this, ms, fn, again);
    const clear = (handle: unknown): void => {
      if (handle instanceof Timer) handle.clear();
    };
    type Callback = (...args: unknown[]) => void;
    Object.assign(globalThis, {
      Date: VirtualDate,
      setTimeout: (fn: Callback, ms = 0, ...args: unknown[]) => timer(Math.max(1, ms), () => fn(...args), false),
      setInterval: (fn: Callback, ms = 0, ...args: unknown[]) => timer(Math.max(1, ms), () => fn(...args), true),
      setImmediate: (fn: Callback, ...args: unknown[]) => timer(0, () => fn(...args), false),
      clearTimeout: clear,
      clearInterval: clear,
      clearImmediate: clear,
    });
    Math.random = random;
    performance.now = () => this.elapsedMs();
    return () => {
      const { random: realRandom, now, ...globals } = real;
      Object.assign(globalThis, globals);
      Math.random = realRandom;
      performance.now = now;
    };
  }

  #push(event: VirtualEvent): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!earlier(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): VirtualEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child += 1;
      if (!earlier(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const earlier = (a: VirtualEvent, b: VirtualEvent): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** What setTimeout and its relatives return. */
class Timer {
  readonly #time: VirtualTime;
  readonly #owner: Life;
  readonly #ms: number;
  readonly #fn: () => void;
  #event: VirtualEvent;

  constructor(time: VirtualTime, ms: number, fn: () => void, again: boolean) {
    this.#time = time;
    this.#owner = time.current;
    this.#ms = ms / time.current.rate;
    this.#fn = again
      ? () => {
          this.refresh();
          fn();
        }
      : fn;
    this.#event = time.at(this.#owner, this.#ms, this.#fn);
  }

  clear(): void {
    this.#event.cancelled = true;
  }

  refresh(): this {
    this.clear();
    this.#event = this.#time.at(this.#owner, this.#ms, this.#fn);
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }
}
