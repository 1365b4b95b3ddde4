import { simulate } from "./world/simulate.ts";

/** `node test/sim/seeds.ts FIRST COUNT [STEP]`: lives these worlds and prints a line of JSON for each broken one, of which five are enough, and one at the end. */
const [first = 1, count = 1, step = 1] = process.argv.slice(2).map(Number);
const startedAt = performance.now();
let broken = 0;
let events = 0;
let virtualMs = 0;
let hash = "";
/** In how many worlds a process logged it. */
const said: Record<string, number> = {};
for (let n = 0; n < count && broken < 5; n++) {
  const seed = first + n * step;
  const world = await simulate(seed).catch((error: Error) => {
    process.stdout.write(`${JSON.stringify({ seed, problems: [error.stack] })}\n`);
    throw error;
  });
  events += world.events;
  virtualMs += world.virtualMs;
  hash = world.hash;
  for (const message of world.said) said[message] = (said[message] ?? 0) + 1;
  if (world.problems.length === 0) continue;
  broken += 1;
  process.stdout.write(`${JSON.stringify({ seed, problems: world.problems })}\n`);
}
const tookMs = Math.round(performance.now() - startedAt);
process.stdout.write(
  `${JSON.stringify({ worlds: count, broken, events, virtualMs: Math.round(virtualMs), tookMs, hash, said })}\n`,
);
