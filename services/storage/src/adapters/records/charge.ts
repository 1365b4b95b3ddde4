/** What a finished run is charged with. */
export interface Charge {
  readonly user: string;
  readonly project: string;
  readonly endedAt: number;
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly cpuMilli: number;
  readonly memoryBytes: number;
}
