import { AppError } from "@berth/core";
import { describe, expect, it } from "vitest";
import { LeaseKeeper } from "./lease-keeper.ts";
import type { LeaseAnswer } from "./lease-keeper.ts";

/** A clock that moves only where somebody sleeps or waits for an answer, and a storage whose answers the test gives. */
function setUp(answers: (LeaseAnswer | Error)[], { answerMs = 0, ttlMs = 3_000 } = {}) {
  let now = 1_000;
  const asked: number[] = [];
  const errors: string[] = [];
  const stop = new AbortController();
  const keeper = new LeaseKeeper({
    async acquire(ttl) {
      expect(ttl).toBe(ttlMs);
      asked.push(now);
      now += answerMs;
      const answer = answers.shift();
      if (answer === undefined) stop.abort(new Error("no more answers"));
      if (answer === undefined || answer instanceof Error) throw answer ?? new Error("no more answers");
      return answer;
    },
    ttlMs,
    monotonic: () => now,
    async sleep(ms) {
      now += ms;
    },
    random: () => 0,
    onError: ({ reason }) => errors.push(reason),
  });
  return { keeper, asked, errors, signal: stop.signal, stop, pass: (ms: number) => void (now += ms) };
}

const mine = (term = 1): LeaseAnswer => ({ held: true, term, holder: "me" });
const others = (term = 1): LeaseAnswer => ({ held: false, term, holder: "other" });
const away = () => new AppError("unavailable", "PEER_UNAVAILABLE", "storage does not answer");

describe("LeaseKeeper", () => {
  it("holds until its life after the request was sent, not after the answer came", async () => {
    const { keeper, signal, pass } = setUp([mine(7)], { answerMs: 800 });
    expect(keeper.held).toBe(false);
    expect(await keeper.wait(signal)).toBe(7);
    expect(keeper.held).toBe(true);
    pass(2_199);
    expect(keeper.held).toBe(true);
    pass(1);
    expect(keeper.held).toBe(false);
  });

  it("never holds what its answer came too late for", async () => {
    const { keeper, signal } = setUp([mine()], { answerMs: 3_000 });
    await keeper.wait(signal);
    expect(keeper.held).toBe(false);
  });

  it("asks an eighth of a life later while another holds it", async () => {
    const { keeper, asked, signal } = setUp([others(), others(), mine(2)]);
    expect(await keeper.wait(signal)).toBe(2);
    expect(asked).toEqual([1_000, 1_375, 1_750]);
  });

  it("renews at a third, and ends when another holds it or it has another term", async () => {
    const { keeper, asked, signal } = setUp([mine(), mine(), mine(), others(2)]);
    const term = await keeper.wait(signal);
    expect(await keeper.keep(term, signal)).toBe("other holds it");
    expect(asked).toEqual([1_000, 2_000, 3_000, 4_000]);
    expect(keeper.held).toBe(false);
    const again = setUp([mine(1), mine(3)]);
    expect(await again.keeper.keep(await again.keeper.wait(again.signal), again.signal)).toBe("its term is 3 now");
  });

  it("is not held past its end while storage is away, and held again if nobody else took it", async () => {
    const { keeper, asked, errors, signal, stop } = setUp([mine(), away(), away(), away(), mine(), others(2)], {
      answerMs: 900,
    });
    const held: boolean[] = [];
    const term = await keeper.wait(signal);
    const acquire = asked.push.bind(asked);
    asked.push = (at) => {
      held.push(keeper.held);
      return acquire(at);
    };
    expect(await keeper.keep(term, signal)).toBe("other holds it");
    expect(held).toEqual([true, true, false, false, true]);
    expect(errors).toEqual(["PEER_UNAVAILABLE"]);
    stop.abort();
  });

  it("ends by the abort's reason only", async () => {
    const { keeper, signal, stop } = setUp([others(), away()]);
    await expect(keeper.run(signal)).rejects.toThrow("no more answers");
    await expect(keeper.wait(signal)).rejects.toThrow("no more answers");
    expect(stop.signal.aborted).toBe(true);
  });
});
