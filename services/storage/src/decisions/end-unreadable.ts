import { arraySize, isLive, killedReason, taskNotYours } from "@berth/core";
import { newArray } from "../domain/array-record.ts";
import type { ArrayRecord } from "../domain/array-record.ts";
import { count } from "../domain/array-record.ts";
import { outcomeCode, overCode, pendingCode, stateOf } from "./record/codes.ts";
import type { Records } from "../ports/records.ts";
import type { Salvaged } from "./record/damage.ts";

/**
 * Ends a task, an array or an element whose record is damaged: one that can be read takes its place. Its run, where it has one, is over by that, and its agent
 * stops it. Answers the outcome; undefined where there is no such record. Throws `denied` NOT_YOURS.
 */
export function endUnreadable(
  records: Records,
  { number, idx }: { readonly number: number; readonly idx: number },
  { user, admin }: { readonly user: string; readonly admin: boolean },
): number | undefined {
  const found = records.salvaged(number, idx);
  if (!found) return undefined;
  const { row, spec } = found;
  const id = idx < 0 ? `${number}` : `${number}.${idx}`;
  if (spec.user !== user && !admin) throw taskNotYours(id);
  if (row.state >= overCode && found.array === undefined) return row.outcome;
  if (idx >= 0) {
    const array = records.array(number);
    end(records, found, user);
    if (array) {
      if (isLive(stateOf(row.state)) || array.waiting === 0) array.live = Math.max(0, array.live - 1);
      else array.waiting -= 1;
      count(array, "killed", 1);
      array.dirty = true;
    }
  } else if (spec.is_array === 1) endArray(records, found, user);
  else end(records, found, user);
  return outcomeCode("killed");
}

function end(records: Records, { row, spec }: Salvaged, user: string, array?: ArrayRecord): void {
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
    ended_at: records.at,
  };
  records.replace(ended, spec, array);
  if (array) return;
  records.sums.moved(spec.user, row.state, overCode);
  if (isLive(stateOf(row.state)) && row.host !== "") records.sums.loaded(row.host, -1, spec);
}

function endArray(records: Records, found: Salvaged, user: string): void {
  const { number } = found.row;
  const before = found.array!;
  const { range, maxLive } = before;
  const total = arraySize(range);
  const living = records.livingElements(number).flatMap((idx) => records.salvaged(number, idx) ?? []);
  for (const element of living) end(records, element, user);
  const ended = Math.min(
    total,
    [...before.ended.values()].reduce((sum, n) => sum + n, 0),
  );
  const rest = Math.max(0, total - ended - living.length);
  records.sums.moved(found.spec.user, pendingCode, overCode, rest);
  const array = newArray(range, maxLive);
  array.cursor = range.last + range.step;
  for (const [outcome, n] of before.ended) array.ended.set(outcome, n);
  count(array, "killed", Math.min(total, rest + living.length));
  end(records, found, user, array);
}
