import { invalidField } from "./errors.ts";
import { maxArrayIndex } from "./task-id.ts";

/** Indexes first, first + step, … up to last inclusive, never beyond. */
export interface ArrayRange {
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

/** Largest number of elements of one array. */
export const maxArrayElements = 10_000_000;

/** Reads `N` (1-N), `1-100`, `1-100:2`, each with an optional `%50`; throws `invalid` INVALID_ARRAY. */
export function parseArray(text: string, field = "array"): ArrayRange & { readonly maxLive: number } {
  const match = /^(?:(\d{1,12})-)?(\d{1,12})(?::(\d{1,12}))?(?:%(\d{1,9}))?$/.exec(text.trim());
  if (!match)
    throw invalidField(
      field,
      `must look like 10, 1-10, 1-10:2 or 1-10%4, is ${JSON.stringify(text.slice(0, 40))}`,
      "INVALID_ARRAY",
    );
  const range = { first: Number(match[1] ?? 1), last: Number(match[2]), step: Number(match[3] ?? 1) };
  const maxLive = match[4] === undefined ? 0 : Number(match[4]);
  if (match[4] !== undefined && maxLive === 0)
    throw invalidField(field, "the limit after % must be at least 1", "INVALID_ARRAY");
  checkRange(range, field);
  return { ...range, maxLive };
}

/** Throws `invalid` INVALID_ARRAY naming what is wrong. */
export function checkRange(range: ArrayRange, field = "array"): void {
  const { first, last, step } = range;
  const whole = [first, last, step].every((n) => Number.isSafeInteger(n));
  if (!whole || first < 0)
    throw invalidField(field, "first, last and step must be whole numbers, first at least 0", "INVALID_ARRAY");
  if (last > maxArrayIndex || step > maxArrayIndex)
    throw invalidField(field, `last and step must be at most ${maxArrayIndex}`, "INVALID_ARRAY");
  if (step < 1) throw invalidField(field, "step must be at least 1", "INVALID_ARRAY");
  if (last < first) throw invalidField(field, "last must not be smaller than first", "INVALID_ARRAY");
  if (arraySize(range) > maxArrayElements)
    throw invalidField(field, `at most ${maxArrayElements} elements`, "INVALID_ARRAY");
}

export const arraySize = (range: ArrayRange): number => Math.floor((range.last - range.first) / range.step) + 1;

/** How many elements have an index of at least `cursor`. */
export const remainingFrom = (range: ArrayRange, cursor: number): number =>
  cursor > range.last ? 0 : Math.floor((range.last - cursor) / range.step) + 1;

/** Whether an element has that index. */
export const hasIndex = (range: ArrayRange, index: number): boolean =>
  index >= range.first && index <= range.last && (index - range.first) % range.step === 0;

/** As the user writes it. */
export function formatArray(range: ArrayRange & { readonly maxLive?: number }): string {
  const step = range.step === 1 ? "" : `:${range.step}`;
  return `${range.first}-${range.last}${step}${range.maxLive ? `%${range.maxLive}` : ""}`;
}
