import type { ArrayRange } from "@berth/core";

/** How many indexes of an array's range one chunk of folded elements stands for. */
export const indexesAChunk = 1_000;

/** The chunk that an index belongs to, from 0. */
export const chunkOf = (range: ArrayRange, index: number): number =>
  Math.floor((index - range.first) / range.step / indexesAChunk);

/** The first index that a chunk may hold. */
export const firstOf = (range: ArrayRange, chunk: number): number => range.first + chunk * indexesAChunk * range.step;

/** The last index that a chunk may hold. */
export const lastOf = (range: ArrayRange, chunk: number): number => firstOf(range, chunk + 1) - range.step;
