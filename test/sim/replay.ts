import { simulate } from "./world/simulate.ts";

/** `node test/sim/replay.ts SEED`: lives one world again and prints everything that happened in it. */
const seed = Number(process.argv[2]);
if (!Number.isInteger(seed) || seed < 1) {
  process.stderr.write("usage: node test/sim/replay.ts SEED\n");
  process.exit(2);
}
const { problems, lines, hash, virtualMs, events } = await simulate(seed, true);
process.stdout.write(`${lines.join("\n")}\n`);
process.stdout.write(
  `seed ${seed}: ${events} events in ${(virtualMs / 1000).toFixed(1)} s, trace ${hash}, ${problems.length} broken\n${problems.map((problem) => `  ${problem}\n`).join("")}`,
);
process.exit(problems.length === 0 ? 0 : 1);
