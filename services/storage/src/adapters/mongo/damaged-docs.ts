import type { Document } from "mongodb";
import { overCode } from "../../decisions/record/codes.ts";
import { salvage } from "../../decisions/record/damage.ts";
import type { Salvaged, Stored } from "../../decisions/record/damage.ts";
import { afterElements, indexOf, taskKey } from "./collections.ts";
import { bytes } from "./spec-doc.ts";
import type { Work } from "./work.ts";

/** Documents that cannot be read, as they are stored. */
export class DamagedDocs {
  readonly tasks = new Map<string, Document>();
  readonly specs = new Map<number, Document>();
}

/** What can be read of a record, damaged or not; undefined where there is none. */
export function salvaged(work: Work, number: number, idx: number): Salvaged | undefined {
  const key = taskKey(number, idx);
  const { tasks, specs } = work.changes;
  const task = tasks.get(key) ?? work.damaged.tasks.get(key) ?? work.task(key);
  const spec: Document | undefined = specs.get(number) ?? work.damaged.specs.get(number) ?? work.spec(number);
  if (!task || !spec) return undefined;
  const isArray = idx < 0 && Number(spec["is_array"]) === 1;
  return salvage(
    number,
    idx,
    task as unknown as Stored,
    { ...spec, head: bytesOf(spec["head"]), deps: bytesOf(spec["deps"]) },
    isArray ? ((task["array"] ?? {}) as Stored) : undefined,
  );
}

/** As they are, where they are bytes. */
function bytesOf(value: unknown): unknown {
  try {
    return value === null || value === undefined ? null : bytes(value);
  } catch {
    return value;
  }
}

/** A damaged spec with the spec as it was given; undefined where it is not damaged. */
export function damagedSpec(work: Work, number: number): Document | undefined {
  const damaged = work.changes.specs.has(number) ? undefined : work.damaged.specs.get(number);
  if (damaged && damaged["run_spec"] === undefined) work.needWhole(number);
  return damaged;
}

/** Indexes of an array's elements that have a record and are not over, damaged ones too. */
export function livingElements(work: Work, number: number): number[] {
  const [from, upTo] = [taskKey(number, 0), afterElements(number)];
  const sound = work.elements(number).filter(({ state }) => state < overCode);
  const damaged = [...work.damaged.tasks].filter(
    ([key, { state }]) => key >= from && key < upTo && !work.changes.tasks.has(key) && !(Number(state) >= overCode),
  );
  return [...damaged.map(([key]) => indexOf(key)), ...sound.map(({ idx }) => idx)];
}
