import { basename } from "node:path";
import { BaseSequencer } from "vitest/node";
import type { TestSpecification } from "vitest/node";

/**
 * Files that take longest, the longest first: seconds on two cores, most of which pass with waiting for leases, silences and kills. Begun late, one of them is what all
 * the others wait for. Vitest itself goes by the last run's times, which a fresh clone does not have.
 */
export const longest: Readonly<Record<string, number>> = {
  "lost-hosts-process.test.ts": 200,
  "lost-hosts-docker.test.ts": 179,
  "kill-9-docker.test.ts": 96,
  "host-comes-back.test.ts": 81,
  "outage-process.test.ts": 65,
  "outage-docker.test.ts": 64,
  "kill-9-process.test.ts": 58,
  "up-down.test.ts": 57,
  "stalled-services.test.ts": 48,
};

/** A stable sort by path: what is not known to be long stays as it was, behind. */
export function longestFirst<T>(items: readonly T[], pathOf: (item: T) => string): T[] {
  const secondsOf = (item: T): number => longest[basename(pathOf(item))] ?? 0;
  return items.toSorted((a, b) => secondsOf(b) - secondsOf(a));
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return longestFirst(await super.sort(files), ({ moduleId }) => moduleId);
  }
}
