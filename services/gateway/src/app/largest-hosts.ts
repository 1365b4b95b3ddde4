import type { Resources } from "@berth/core";
import type { ScheduleServiceService } from "@berth/contracts/schedule";
import type { GrpcClient } from "@berth/runtime";

/** The sizes of the largest hosts, as the scheduler knows them. */
export interface LargestHosts {
  /**
   * Answers from the cache, so that a submit does not wait. Only the first call, and calls with `fresh`, wait for the scheduler. Empty if the scheduler does
   * not answer.
   */
  get(options?: { readonly fresh?: boolean }): Promise<readonly Resources[]> | readonly Resources[];
}

/** After this time the next submit refreshes the cache in the background. */
const askEveryMs = 5_000;
/** Limit of a submit's wait for the scheduler. */
const waitMs = 500;

export function makeLargestHosts(
  scheduler: Pick<GrpcClient<ScheduleServiceService>, "listLargestHosts">,
  now: () => number,
): LargestHosts {
  let known: readonly Resources[] | undefined;
  let asked: Promise<readonly Resources[]> | undefined;
  let askedMs = -Infinity;

  function ask(): Promise<readonly Resources[]> {
    askedMs = now();
    asked ??= scheduler
      .listLargestHosts({}, { deadlineMs: waitMs })
      .then(
        ({ capacities }) => (known = capacities),
        () => known ?? [],
      )
      .finally(() => (asked = undefined));
    return asked;
  }

  return {
    get({ fresh = false } = {}) {
      if (fresh) return ask();
      if (now() - askedMs < askEveryMs) return known ?? asked ?? [];
      const answer = ask();
      return known ?? answer;
    },
  };
}
