/** Caches results of promises for `ttlMs`. Concurrent calls for one key share one promise. Failures are not cached. */
export class Cache<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #ttlMs: number;
  readonly #maxEntries: number;
  readonly #now: () => number;

  constructor(options: { readonly ttlMs: number; readonly maxEntries: number; readonly now: () => number }) {
    this.#ttlMs = options.ttlMs;
    this.#maxEntries = options.maxEntries;
    this.#now = options.now;
  }

  get(key: string): Promise<T> | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    if (entry.until > this.#now()) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  /** The cached result if its promise is settled. It costs no promise, so hot paths try it first. */
  peek(key: string): T | undefined {
    const entry = this.#entries.get(key);
    return entry?.settled && entry.until > this.#now() ? entry.settled.value : undefined;
  }

  /** `untilOf` may shorten the life of the entry. */
  set(key: string, value: Promise<T>, untilOf?: (value: T) => number): Promise<T> {
    this.#makeRoom();
    const entry: Entry<T> = { value, until: this.#now() + this.#ttlMs, settled: undefined };
    this.#entries.set(key, entry);
    value.then(
      (result) => {
        if (untilOf) entry.until = Math.min(entry.until, untilOf(result));
        entry.settled = { value: result };
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    );
    return value;
  }

  clear(): void {
    this.#entries.clear();
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Removes the oldest entry, because it expires next. */
  #makeRoom(): void {
    if (this.#entries.size < this.#maxEntries) return;
    const oldest = this.#entries.keys().next();
    if (!oldest.done) this.#entries.delete(oldest.value);
  }
}

interface Entry<T> {
  readonly value: Promise<T>;
  until: number;
  settled: { readonly value: T } | undefined;
}
