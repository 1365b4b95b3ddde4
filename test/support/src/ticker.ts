import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MiB } from "@berth/core";
import type { TestCluster } from "./cluster.ts";
import type { Wish } from "./submit.ts";

/** So many ticks in the first attempt, and so many in each later one. */
export interface Ticks {
  readonly first: number;
  readonly later: number;
}

/** A task that writes the number of its attempt, ten times a second and so often, into a file outside Berth: a pause or a second run shows. */
export const ticker = (name: string, ticks: number | Ticks, more: Wish = {}): Wish => ({
  script: `i=0
n=${typeof ticks === "number" ? ticks : ticks.first}
[ "$BERTH_ATTEMPT" = 1 ] || n=${typeof ticks === "number" ? ticks : ticks.later}
while [ $i -lt $n ]; do i=$((i+1)); sleep 0.1; echo "$BERTH_ATTEMPT" >> "$BERTH_VOLUME_SCRATCH/${name}"; done
`,
  volumes: [{ name: "scratch" }],
  resources: { cpuMilli: 100, memoryBytes: 16 * MiB },
  ...more,
});

/** What it has written until now: of each tick, its attempt. */
export function ticksOf(cluster: TestCluster, name: string): string[] {
  try {
    return readFileSync(join(cluster.data, "scratch", name), "utf8")
      .trim()
      .split("\n");
  } catch {
    return []; // it has not begun
  }
}
