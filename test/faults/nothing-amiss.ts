import { faultsOf } from "@berth/test-support";
import type { History, Recorder } from "@berth/test-support";
import { expect } from "vitest";

/** All that was submitted is over, well, once: by what clients were told, by what tasks wrote, and by what the store says. */
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
