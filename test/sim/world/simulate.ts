import { endFaults, planFaults } from "./faults.ts";
import { checkTheEnd, isAtRest } from "./last-invariants.ts";
import { Trace } from "./trace.ts";
import { codes, readLastRevision, readTruth } from "./truth.ts";
import { World } from "./world.ts";

export interface Simulated {
  readonly seed: number;
  readonly problems: readonly string[];
  readonly hash: string;
  readonly lines: readonly string[];
  readonly said: ReadonlySet<string>;
  readonly virtualMs: number;
  readonly events: number;
}

/** After the storm everything must be over within this time. */
const restMs = 1_800_000;
const lookEveryMs = 1_000;
/** More events than these are a world that spins. */
const maxEvents = 400_000;
/** How long nothing must have been committed before a missing reason counts. */
const quietMs = 1_500;

/** Runs a whole world from its seed, and returns what was broken in it. The same seed gives the same trace. */
export async function simulate(seed: number, keepLines = false): Promise<Simulated> {
  const trace = new Trace(keepLines);
  const world = new World(seed, trace);
  const { time, random, client, stormMs } = world;
  const restore = time.install(() => random());
  const onUnhandled = (error: unknown): void => world.problem("bug", `unhandled: ${String((error as Error)?.stack)}`);
  process.on("unhandledRejection", onUnhandled);
  try {
    for (const post of world.posts.values()) world.after(random.int(0, 2_000), () => world.start(post));
    for (let at = 0; at < world.wishes; at++) world.asUsers(random.int(500, stormMs), () => client.submit(at));
    for (let n = random.int(0, 6); n > 0; n--)
      world.asUsers(random.int(3_000, stormMs), () => client.ask(random.pick(["kill", "suspend", "resume"])));
    for (let n = random.int(0, 2); n > 0; n--) world.asUsers(random.int(3_000, stormMs), () => client.submitAgain());
    for (let n = random.int(0, 3); n > 0; n--) world.asUsers(random.int(3_000, stormMs), () => client.changeLimit());
    for (let n = random.int(0, 3); n > 0; n--)
      world.asUsers(random.int(3_000, stormMs), () => client.runHousekeeping());
    planFaults(world);
    world.after(stormMs, () => endFaults(world));

    let over = false;
    const look = (): void => {
      lookForReasons(world);
      if (time.nowMs > stormMs) {
        over = isAtRest(world) || time.nowMs > stormMs + restMs;
        if (!over) resumeSuspended(world);
      }
      world.after(lookEveryMs, look);
    };
    world.after(lookEveryMs, look);
    await time.run(() => {
      world.step();
      if (time.events > maxEvents) world.problem("bug", `still busy after ${maxEvents} events`);
      return over || world.problems.length > 0;
    });
    world.invariants.onCommit(); // folding announces nothing
    if (world.problems.length === 0) await checkTheEnd({ ...world.end(), folded: world.invariants.folded });
  } finally {
    process.off("unhandledRejection", onUnhandled);
    restore();
    world.close();
  }
  return {
    seed,
    problems: world.problems,
    hash: trace.hash,
    lines: trace.lines,
    said: trace.said,
    virtualMs: time.nowMs,
    events: time.events,
  };
}

const lastSeen = new WeakMap<World, { revision: number; sinceMs: number }>();

/** Asks for reasons once nothing new was committed for a while and a leader has read all of it. */
function lookForReasons(world: World): void {
  const revision = readLastRevision(world.database);
  const seen = lastSeen.get(world);
  if (seen?.revision !== revision) return void lastSeen.set(world, { revision, sinceMs: world.time.nowMs });
  if (world.time.nowMs - seen.sinceMs < quietMs) return;
  const leader = world.settledLeader(revision);
  if (!leader) return;
  world.invariants.pendingTasksHaveAReason((id) => {
    try {
      return leader.explain(id);
    } catch {
      return "not ready"; // it says so itself
    }
  });
}

/** At the end the users resume what they suspended. */
function resumeSuspended(world: World): void {
  for (const { id, state, isArray } of readTruth(world.database).values())
    if (!isArray && state === codes.suspended) world.asUsers(0, () => world.client.request(id, "resume", "ada"));
}
