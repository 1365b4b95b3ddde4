import { SimDisk } from "./journal.ts";
import { noMessageFaults } from "./network.ts";
import type { Random } from "./random.ts";
import type { Post } from "./post.ts";
import type { World } from "./world.ts";

type Fault = (world: World, random: Random) => void;

const postsOf = (world: World, ...kinds: readonly Post["kind"][]): Post[] =>
  [...world.posts.values()].filter(({ kind }) => kinds.length === 0 || kinds.includes(kind));

/** A host's machine without power: what ran there is gone, what was not flushed too. */
function powerOff(world: World, hostId: string, forMs: number): void {
  const post = world.posts.get(`agent-${hostId}`)!;
  if (post.down) return;
  world.say(`${hostId} loses its power for ${Math.round(forMs)} ms`);
  post.down = true;
  world.kill(post, "goes with its machine");
  world.forgetEnds(hostId);
  world.machines.get(hostId)!.powerOff();
  world.disks.get(hostId)!.losePower();
  world.after(forMs, () => powerOn(world, hostId));
}

function powerOn(world: World, hostId: string): void {
  const post = world.posts.get(`agent-${hostId}`)!;
  if (!post.down) return;
  world.say(`${hostId} boots`);
  post.down = false;
  world.machines.get(hostId)!.powerOn();
  world.start(post);
}

/** All kinds of faults, each a moment in which it happens. */
const faults: Readonly<Record<string, Fault>> = {
  kill(world, random) {
    world.kill(random.pick(postsOf(world)));
  },
  dieAtWrite(world, random) {
    random.pick(postsOf(world)).node.dieAtWrite = random.pick(["before", "after"]);
  },
  storageDiesAtWrite(world, random) {
    world.posts.get("storage")!.node.dieAtWrite = random.pick(["before", "after"]);
  },
  stopGracefully(world, random) {
    const { node, stop } = random.pick(postsOf(world));
    if (!node.life?.alive) return;
    world.say(`${node.life.name} is asked to stop`);
    world.time.at(node.life, 0, () => stop.abort(new Error("SIGTERM")));
  },
  stall(world, random) {
    world.stall(random.pick(postsOf(world)), random.spread(500, 20_000));
  },
  leaderStalls(world, random) {
    for (const post of postsOf(world, "scheduler"))
      if (random.chance(0.6)) world.stall(post, random.spread(3_000, 15_000));
  },
  hostGone(world, random) {
    // Rather one where something runs.
    const busy = [...world.machines.values()].filter(({ processes }) => processes.size > 0);
    const { hostId } = random.pick(busy.length > 0 ? busy : [...world.machines.values()]);
    const { node } = world.posts.get(`agent-${hostId}`)!;
    const forMs = random.spread(15_000, 60_000);
    world.say(`${node.name} is not heard for ${Math.round(forMs)} ms`);
    node.cutOff = true;
    world.after(forMs, () => (node.cutOff = false));
  },
  declaredLost(world, random) {
    const hostId = random.pick([...world.machines.keys()]);
    world.asUsers(0, () => world.declareLost(hostId));
  },
  cutOff(world, random) {
    const { node } = random.pick(postsOf(world));
    const forMs = random.spread(200, 40_000);
    world.say(`${node.name} is cut off for ${Math.round(forMs)} ms`);
    node.cutOff = true;
    world.after(forMs, () => (node.cutOff = false));
  },
  lag(world, random) {
    const { node } = random.pick(postsOf(world, "watcher", "scheduler"));
    const forMs = random.spread(2_000, 50_000);
    node.streamLagMs = random.spread(200, 45_000);
    world.say(`${node.name} hears the feed ${Math.round(node.streamLagMs)} ms late for ${Math.round(forMs)} ms`);
    world.after(forMs, () => (node.streamLagMs = 0));
  },
  busAway(world, random) {
    if (world.bus.away) return;
    const forMs = random.spread(100, 10_000);
    world.say(`the bus is away for ${Math.round(forMs)} ms`);
    world.bus.setAway(true);
    world.after(forMs, () => world.bus.setAway(false));
  },
  powerLoss(world, random) {
    powerOff(world, random.pick([...world.machines.keys()]), random.spread(1_000, 60_000));
  },
  journalLost(world, random) {
    const hostId = random.pick([...world.machines.keys()]);
    world.say(`${hostId} loses its journal`);
    world.kill(world.posts.get(`agent-${hostId}`)!);
    const generation = Number(/\d+$/.exec(world.disks.get(hostId)!.id)![0]) + 1;
    world.disks.set(hostId, new SimDisk(`journal-${hostId}-${generation}`));
  },
  diskFull(world, random) {
    const { node } = random.pick(postsOf(world, "storage", "agent"));
    const forMs = random.spread(500, 20_000);
    node.failingWrites = random.pick([0.2, 0.5, 1]);
    world.say(`${node.failingWrites} of the writes at ${node.name} fail for ${Math.round(forMs)} ms`);
    world.after(forMs, () => (node.failingWrites = 0));
  },
  clockStep(world, random) {
    const post = random.pick(postsOf(world));
    post.wallOffsetMs = random.int(-30_000, 30_000);
    world.say(`the wall clock at ${post.node.name} is off by ${post.wallOffsetMs} ms`);
    if (post.node.life) post.node.life.wallOffsetMs = post.wallOffsetMs;
  },
  skew(world, random) {
    const post = random.pick(postsOf(world, "scheduler", "watcher", "agent"));
    // The margin of leases covers a tenth; who leads is fenced, however wrong its clock is.
    post.rate = random.pick(post.kind === "scheduler" ? [0.5, 0.7, 1.4, 2] : [0.9, 1.1]);
    world.say(`clocks at ${post.node.name} will go at ${post.rate}`);
    world.kill(post);
  },
  weather(world, random) {
    Object.assign(world.network.weather, {
      lost: random.chance(0.7) ? random.spread(0.005, 0.3) : 0,
      doubled: random.chance(0.7) ? random.spread(0.005, 0.3) : 0,
      delayed: random.chance(0.7) ? random.spread(0.01, 0.5) : 0,
      delayMs: random.spread(50, 8_000),
    });
    world.say("the weather changes");
    world.after(random.spread(1_000, 30_000), () => Object.assign(world.network.weather, noMessageFaults()));
  },
};

/** What will go wrong in this world: some kinds of faults, as often as the seed says. */
export function planFaults(world: World): void {
  const { random } = world;
  const kinds = Object.keys(faults).filter(() => random.chance(0.4));
  const count = kinds.length === 0 ? 0 : random.int(0, 40);
  for (let n = 0; n < count; n++) {
    const kind = random.pick(kinds);
    world.after(random.int(0, world.stormMs), () => faults[kind]!(world, random));
  }
  // The case that leases are for, which would be rare among the other faults.
  for (let n = random.pick([0, 0, 1, 2, 4]); n > 0; n--)
    world.after(random.int(5_000, world.stormMs / 2), () => faults["hostGone"]!(world, random));
}

/** Everything is mended and started again; what was done stays done. */
export function endFaults(world: World): void {
  world.say("everything is mended");
  Object.assign(world.network.weather, noMessageFaults());
  world.bus.setAway(false);
  for (const hostId of world.machines.keys()) powerOn(world, hostId);
  for (const post of world.posts.values()) {
    const { node } = post;
    node.cutOff = false;
    node.streamLagMs = 0;
    node.dieAtWrite = undefined;
    node.failingWrites = 0;
    world.wake(node);
    world.start(post);
  }
}
