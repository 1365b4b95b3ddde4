import { AppError } from "@berth/core";
import { describe, expect, it } from "vitest";
import { DisabledUsers } from "./disabled-users.ts";

/** An auth whose answers the test gives, one a question; time goes on when the test says so. */
function setUp() {
  const stop = new AbortController();
  const asked: PromiseWithResolvers<readonly string[]>[] = [];
  const sleeping: { readonly ms: number; readonly over: () => void }[] = [];
  const changes: string[][] = [];
  const said: string[] = [];
  const users = new DisabledUsers({
    list: () => {
      const answer = Promise.withResolvers<readonly string[]>();
      asked.push(answer);
      return answer.promise;
    },
    changed: (names) => void changes.push([...names]),
    sleep: (ms) => new Promise((resolve) => sleeping.push({ ms, over: resolve })),
    logger: { info: (text) => void said.push(text), warn: (text) => void said.push(text) },
  });
  const answer = async (names: readonly string[] | AppError) => {
    await expect.poll(() => asked.length).toBeGreaterThan(0);
    if (names instanceof AppError) asked.shift()!.reject(names);
    else asked.shift()!.resolve(names);
    await expect.poll(() => sleeping.some(({ ms }) => ms < 5_000)).toBe(true);
    sleeping
      .splice(
        sleeping.findIndex(({ ms }) => ms < 5_000),
        1,
      )[0]!
      .over();
  };
  void users.run(stop.signal);
  return { users, answer, changes, said, sleeping, stop };
}

const away = AppError.received("unavailable", "UNREACHABLE", "auth does not answer");

describe("who is disabled", () => {
  it("is told when it changes, and stays as it was while auth is away", async () => {
    const { answer, changes, said, stop } = setUp();
    for (const names of [["bob"], ["bob"], away, away, ["bob", "ann"], []] as const) await answer(names);
    expect(changes).toEqual([["bob"], ["bob", "ann"], []]);
    expect(said).toEqual(["auth cannot be asked who is disabled; its last answer counts"]);
    stop.abort();
  });

  it("is waited for at the start, for as long as said", async () => {
    const { users, answer, said, sleeping, stop } = setUp();
    let known = false;
    const first = users.firstAnswer(5_000, stop.signal).then(() => (known = true));
    await answer(away);
    expect(known).toBe(false);
    await answer([]);
    await first;
    const another = setUp();
    const late = another.users.firstAnswer(5_000, another.stop.signal);
    another.sleeping.find(({ ms }) => ms === 5_000)!.over();
    await late;
    expect(another.said).toEqual(["auth does not say who is disabled; tasks of all users are started"]);
    expect(said).toHaveLength(1);
    expect(sleeping.length).toBeGreaterThan(0);
    for (const { abort } of [stop, another.stop].map((each) => ({ abort: () => each.abort() }))) abort();
  });
});
