/** The only source of randomness of a simulated world: the same seed gives the same numbers. */
export interface Random {
  /** From 0 up to 1. */
  (): number;
  /** Whole, from `low` to `high`, both included. */
  int(low: number, high: number): number;
  /** True in that part of all cases. */
  chance(part: number): boolean;
  pick<T>(from: readonly T[]): T;
  /** Between `low` and `high`, small ones as likely as large ones of ten times the size. */
  spread(low: number, high: number): number;
}

/** Mulberry32: small, quick, and good enough to throw dice with. */
export function seeded(seed: number): Random {
  let state = Math.imul(seed, 0x9e37_79b1) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const int = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return Object.assign(next, {
    int,
    chance: (part: number) => next() < part,
    pick: <T>(from: readonly T[]): T => from[int(0, from.length - 1)]!,
    spread: (low: number, high: number) => low * (high / low) ** next(),
  });
}
