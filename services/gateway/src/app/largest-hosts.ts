import type { Resources } from "@berth/core";
import type { ScheduleServiceService } from "@berth/contracts/schedule";
import type { GrpcClient } from "@berth/runtime";

/** The sizes of the largest hosts, as the scheduler knows them. */
export interface LargestHosts {
  /** Answers from memory, so a submit does not wait; the first call, and with `fresh` each, waits for the scheduler. Empty where it does not answer. */
  get(options?: { readonly fresh?: boolean }): Promise<readonly Resources[]> | readonly Resources[];
}

/** How long an answer counts before the next submit asks again, in the background. */
const askEveryMs = 5_000;
/** A submit is not held up longer by a scheduler that does not answer. */
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
