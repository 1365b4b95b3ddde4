/** Where the watcher says what it did; a no-op in tests. */
export interface Instruments {
  sync(ready: boolean): void;
  verdict(kind: string): void;
  woke(why: "request" | "not_taken_up", hosts: number): void;
  lost(runs: number): void;
}

export interface Logger {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}
