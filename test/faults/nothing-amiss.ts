import { faultsOf } from "@berth/test-support";
import type { History, Recorder } from "@berth/test-support";
import { expect } from "vitest";

/** Every submitted task succeeded, once: checked by the answers to clients, the lines that tasks wrote, and the store. */
export async function expectNothingAmiss(
  recorder: Recorder,
  tasks: number,
  more: Partial<Pick<History, "capacity" | "mayHaveUntold">>,
): Promise<History> {
  const history = await recorder.whole(tasks, more);
  expect(history.stored).toHaveLength(tasks);
  expect(faultsOf(history)).toEqual([]);
  expect(history.stored.filter(({ outcome }) => outcome !== "succeeded")).toEqual([]);
  return history;
}
