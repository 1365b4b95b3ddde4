import { AppError } from "@berth/core";
import { describe, expect, it } from "vitest";
import { makeLargestHosts } from "./largest-hosts.ts";

function world() {
  const state = { now: 0, asked: 0, cpuMilli: 2_000, away: false };
  const scheduler = {
    async listLargestHosts() {
      state.asked += 1;
      if (state.away) throw new AppError("unavailable", "NOT_LEADER", "none leads");
      return { capacities: [{ cpuMilli: state.cpuMilli, memoryBytes: 1 }] };
    },
  } as unknown as Parameters<typeof makeLargestHosts>[0];
  return { hosts: makeLargestHosts(scheduler, () => state.now), state };
}

describe("largest hosts", () => {
  it("are asked for once in a while, and nobody but the first waits", async () => {
    const { hosts, state } = world();
    const first = await Promise.all(Array.from({ length: 50 }, async () => hosts.get()));
    expect(first.every(([one]) => one!.cpuMilli === 2_000)).toBe(true);
    state.cpuMilli = 4_000;
    expect(hosts.get()).toEqual([{ cpuMilli: 2_000, memoryBytes: 1 }]);
    expect(state.asked).toBe(1);
    state.now = 5_000;
    expect(hosts.get()).toEqual([{ cpuMilli: 2_000, memoryBytes: 1 }]);
    await expect.poll(() => hosts.get()).toEqual([{ cpuMilli: 4_000, memoryBytes: 1 }]);
    expect(state.asked).toBe(2);
  });

  it("are asked for anew where somebody waits for it", async () => {
    const { hosts, state } = world();
    await hosts.get();
    state.cpuMilli = 4_000;
    expect(await hosts.get({ fresh: true })).toEqual([{ cpuMilli: 4_000, memoryBytes: 1 }]);
  });

  it("are not known while no scheduler leads, which holds up no submit", async () => {
    const { hosts, state } = world();
    state.away = true;
    expect(await hosts.get()).toEqual([]);
    expect(hosts.get()).toEqual([]);
    expect(state.asked).toBe(1);
  });
});
