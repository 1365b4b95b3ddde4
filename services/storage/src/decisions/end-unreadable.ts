import { AppError, arraySize, isLive, killedReason } from "@berth/core";
import { newArray } from "../domain/array-record.ts";
import type { ArrayRecord } from "../domain/array-record.ts";
import { count } from "../domain/array-record.ts";
import { outcomeCode, overCode, pendingCode, stateOf } from "../adapters/records/codes.ts";
import type { SpecColumns, TaskColumns } from "../adapters/records/columns.ts";
import type { Salvaged } from "../adapters/records/damage.ts";

/** What a kill of a damaged record looks at and does. */
export interface Repairs {
  readonly at: number;
  readonly sums: {
    moved(user: string, from: number, to: number, n?: number): void;
    loaded(host: string, direction: 1 | -1, needs: SpecColumns): void;
  };
  salvaged(number: number, idx: number): Salvaged | undefined;
  /** Elements of an array that have a record and are not over. */
  livingElements(number: number): readonly number[];
  /** Puts a record in the place of a damaged one, and announces it. */
  replace(row: TaskColumns, spec: SpecColumns, array: ArrayRecord | undefined): void;
  /** The array of an element whose own record is damaged. */
  array(number: number): (ArrayRecord & { dirty: boolean }) | undefined;
}

/**
 * Ends a task, an array or an element whose record is damaged: one that can be read takes its place. Its run, where it has one, is over by that, and its agent
 * stops it. Answers the outcome; undefined where there is no such record. Throws `denied` NOT_YOURS.
 */
export function endUnreadable(
  repairs: Repairs,
  { number, idx }: { readonly number: number; readonly idx: number },
  { user, admin }: { readonly user: string; readonly admin: boolean },
): number | undefined {
  const found = repairs.salvaged(number, idx);
  if (!found) return undefined;
  const { row, spec } = found;
  const id = idx < 0 ? `${number}` : `${number}.${idx}`;
  if (spec.user !== user && !admin)
    throw new AppError("denied", "NOT_YOURS", `task ${id} belongs to another user`, { metadata: { task_id: id } });
  if (row.state >= overCode && found.array === undefined) return row.outcome;
  if (idx >= 0) {
    const array = repairs.array(number);
    end(repairs, found, user);
    if (array) {
      if (isLive(stateOf(row.state)) || array.waiting === 0) array.live = Math.max(0, array.live - 1);
      else array.waiting -= 1;
      count(array, "killed", 1);
      array.dirty = true;
    }
  } else if (spec.is_array === 1) endArray(repairs, found, user);
  else end(repairs, found, user);
  return outcomeCode("killed");
}

function end(repairs: Repairs, { row, spec }: Salvaged, user: string, array?: ArrayRecord): void {
  const { code, message } = killedReason(user);
  const ended = {
    ...row,
    user: spec.user,
    state: overCode,
    request: 0,
    detail: "",
    outcome: outcomeCode("killed"),
    reason_code: code,
    reason_message: `${message}; its record could not be read`,
    ended_at: repairs.at,
  };
  repairs.replace(ended, spec, array);
  if (array) return;
  repairs.sums.moved(spec.user, row.state, overCode);
  if (isLive(stateOf(row.state)) && row.host !== "") repairs.sums.loaded(row.host, -1, spec);
}

function endArray(repairs: Repairs, found: Salvaged, user: string): void {
  const { number } = found.row;
  const before = found.array!;
  const { range, maxLive } = before;
  const total = arraySize(range);
  const living = repairs.livingElements(number).flatMap((idx) => repairs.salvaged(number, idx) ?? []);
  for (const element of living) end(repairs, element, user);
  const ended = Math.min(
    total,
    [...before.ended.values()].reduce((sum, n) => sum + n, 0),
  );
  const rest = Math.max(0, total - ended - living.length);
  repairs.sums.moved(found.spec.user, pendingCode, overCode, rest);
  const array = newArray(range, maxLive);
  array.cursor = range.last + range.step;
  for (const [outcome, n] of before.ended) array.ended.set(outcome, n);
  count(array, "killed", Math.min(total, rest + living.length));
  end(repairs, found, user, array);
}
