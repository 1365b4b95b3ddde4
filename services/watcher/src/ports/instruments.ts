/** Metrics of the watcher; a no-op in tests. */
export interface Instruments {
  sync(ready: boolean): void;
  verdict(kind: string): void;
  woke(why: "request" | "not_taken_up", hosts: number): void;
  /** A second agent with the same host name was refused. */
  duplicateHostName(): void;
  /** Runs given up: their journal is gone, or the lease of their host ended. */
  lost(runs: number, why: "journal" | "lease"): void;
}

export interface Logger {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}
