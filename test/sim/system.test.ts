import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

/**
 * Whole clusters in virtual time, a world a seed: see docs/design/simulation.md. They live in processes of their own, because a world takes the clocks and
 * timers of its process. `BERTH_SIM_SEED=7` lives that world only, and prints all that happens in it.
 */
const run = promisify(execFile);
const slow = process.env["BERTH_TEST_SIZE"] === "slow";
const only = Number(process.env["BERTH_SIM_SEED"] ?? 0);
const worlds = slow ? 10_000 : 300;
const script = (name: string): string => join(import.meta.dirname, name);

interface Summary {
  readonly worlds: number;
  readonly events: number;
  readonly hash: string;
  /** In how many worlds a process said so. */
  readonly said: Readonly<Record<string, number>>;
}

/** What must have been said somewhere: worlds in which nothing goes wrong prove nothing. */
const hardPlaces = [
  "another leads: this one stands by",
  "storage refused a plan of an older term: another leads",
  "the change feed was lost; following it again",
  "a report was not answered; it is sent again",
  "refused a run",
  "told to stop a run",
  "found a run that the journal does not have",
  "runs were placed for a journal that is gone, and its host does not have them",
  "gave up runs whose lease ended: their host is not heard",
  "nobody answered for the length of a run's lease: it stands still until somebody does",
  "old tasks went",
];

/** Every `step`th world from the first; those that broke, as lines to read. */
async function live(first: number, count: number, step: number): Promise<{ broken: string[]; summary: Summary }> {
  const { stdout } = await run(process.execPath, [script("seeds.ts"), `${first}`, `${count}`, `${step}`]).catch(
    (failed: { stdout: string }) => failed,
  );
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Summary & { seed?: number; problems?: string[] });
  return {
    broken: lines.flatMap(({ seed, problems }) =>
      seed === undefined ? [] : [`${(problems ?? []).join("\n")}\n    see it again: node test/sim/replay.ts ${seed}`],
    ),
    summary: lines.at(-1)!,
  };
}

describe.runIf(only > 0)("one world", () => {
  it(`of seed ${only}`, async () => {
    const { stdout } = await run(process.execPath, [script("replay.ts"), `${only}`], { maxBuffer: 2 ** 28 }).catch(
      (failed: { stdout: string }) => failed,
    );
    process.stdout.write(stdout);
    expect(stdout).toContain(", 0 broken");
  });
});

describe.skipIf(only > 0)("a cluster in a storm", () => {
  it("is lived again, event by event, from its seed", async () => {
    for (const seed of [11, 12]) {
      const [one, other] = await Promise.all([live(seed, 1, 1), live(seed, 1, 1)]);
      expect(other.summary.hash).toBe(one.summary.hash);
      expect(other.summary.events).toBe(one.summary.events);
    }
  });

  it(
    `keeps every promise in ${worlds} worlds`,
    async () => {
      const processes = Math.min(8, availableParallelism());
      const parts = await Promise.all(
        Array.from({ length: processes }, (_, at) => live(at + 1, Math.ceil((worlds - at) / processes), processes)),
      );
      const broken = parts.flatMap((part) => part.broken);
      expect(broken.join("\n")).toBe("");
      expect(parts.reduce((sum, { summary }) => sum + summary.worlds, 0)).toBe(worlds);
      const said = new Set(parts.flatMap(({ summary }) => Object.keys(summary.said)));
      expect(hardPlaces.filter((place) => !said.has(place))).toEqual([]);
    },
    slow ? 3_600_000 : 240_000,
  );
});
