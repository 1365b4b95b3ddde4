/** Where the watcher says what it did; a no-op in tests. */
export interface Instruments {
  sync(ready: boolean): void;
  verdict(kind: string): void;
  woke(why: "request" | "not_taken_up", hosts: number): void;
  /** A second agent of a host name was refused. */
  duplicateHostName(): void;
  /** Runs given up: their journal is gone, or the lease of their host ended. */
  lost(runs: number, why: "journal" | "lease"): void;
}

export interface Logger {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}
