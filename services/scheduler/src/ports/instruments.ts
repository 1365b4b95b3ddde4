/** Metrics of the loop; a no-op in tests. */
export interface Instruments {
  cycle(seconds: number, placements: number, ends: number): void;
  refused(code: string): void;
  staleTerm(): void;
}

export interface Logger {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}
