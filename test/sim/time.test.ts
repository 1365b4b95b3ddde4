import { describe, expect, it } from "vitest";
import { Life, VirtualTime } from "./world/time.ts";

/** Runs `fn` as a process in a time of its own, until nothing is left to do. */
async function live(fn: (time: VirtualTime, life: Life) => void): Promise<void> {
  const time = new VirtualTime();
  const life = new Life("p");
  const restore = time.install(() => 0.5);
  try {
    time.at(life, 0, () => fn(time, life));
    await time.run(() => false);
  } finally {
    restore();
  }
}

describe("virtual time", () => {
  it("calls timers in their order, at their time, and promises between them", async () => {
    const seen: string[] = [];
    await live(() => {
      const say = (what: string): void => void seen.push(`${performance.now()} ${what}`);
      setTimeout(() => say("late"), 1_000);
      setTimeout(() => {
        say("timer");
        void Promise.resolve().then(() => say("promise"));
        setImmediate(() => say("immediate"));
      }, 10);
      setTimeout(() => say("same time"), 10);
      clearTimeout(setTimeout(() => say("never"), 5));
    });
    expect(seen).toEqual(["10 timer", "10 promise", "10 same time", "10 immediate", "1000 late"]);
  });

  it("gives each process its own clocks", async () => {
    const walls: number[] = [];
    await live((time) => {
      const fast = Object.assign(new Life("fast"), { rate: 2, wallOffsetMs: 500 });
      walls.push(Date.now());
      time.at(fast, 100, () => walls.push(Date.now(), performance.now()));
      time.at(fast, 100, () => setTimeout(() => walls.push(time.nowMs), 100));
    });
    expect(walls.map((wall) => (wall > 1e9 ? wall - walls[0]! : wall))).toEqual([0, 700, 200, 150]);
    expect(Date.now() - walls[0]!).not.toBe(0);
  });

  it("does nothing of a dead process, and later what a stalled one was to do", async () => {
    const seen: string[] = [];
    await live((time, life) => {
      const other = new Life("other");
      time.at(other, 5, () => {
        setInterval(() => seen.push("dead"), 10);
      });
      time.at(time.world, 12, () => other.kill());
      time.at(time.world, 13, () => time.pause(life));
      setTimeout(() => seen.push(`a ${time.nowMs}`), 20);
      setTimeout(() => seen.push(`b ${time.nowMs}`), 30);
      time.at(time.world, 50, () => time.resume(life));
    });
    expect(seen).toEqual(["a 50", "b 50"]);
  });
});
