import { AppError } from "@berth/core";
import { toFailure } from "@berth/contracts";
import type { ResolveSubmitsRequest } from "@berth/contracts/auth";
import { TaskSpec } from "@berth/contracts/types";
import { describe, expect, it } from "vitest";
import { cachingResolver } from "./resolver.ts";

const identity = { user: "anna", uid: 1_000, gid: 1_000, groups: [] };
const spec = (image = "") => TaskSpec.fromPartial({ project: "p", image });

function setUp(now: () => number, ttlMs = 10) {
  const asked: number[] = [];
  const auth = {
    async resolveSubmits({ submits }: ResolveSubmitsRequest) {
      asked.push(submits.length);
      const refused = toFailure(AppError.received("denied", "IMAGE_DENIED", "not that one"));
      return {
        identity,
        results: submits.map(({ image }) => ({ mounts: [], ...(image === "bad" ? { failure: refused } : {}) })),
      };
    },
  } as unknown as Parameters<typeof cachingResolver>[0];
  return { asked, resolver: cachingResolver(auth, { ttlMs, now }) };
}

describe("cachingResolver", () => {
  it("asks once for what is alike, and remembers it for a while", async () => {
    let at = 0;
    const { asked, resolver } = setUp(() => at);
    expect(await resolver.resolve("anna", [spec(), spec("a"), spec()])).toMatchObject([
      { identity },
      { identity },
      { identity },
    ]);
    at = 9;
    await resolver.resolve("anna", [spec()]);
    expect(asked).toEqual([2]);
    at = 10;
    await resolver.resolve("anna", [spec()]);
    expect(asked).toEqual([2, 1]);
  });

  it("holds on to what it found, also where it becomes too old in that moment", async () => {
    for (const ttlMs of [9, 10]) {
      let at = 0;
      const { resolver } = setUp(() => at++, ttlMs); // each look at the clock is a millisecond later
      for (let n = 0; n < 30; n++)
        expect(await resolver.resolve("anna", [spec()])).toMatchObject([{ identity: { uid: 1_000 } }]);
    }
  });

  it("tells a refusal of the item that it is of, and does not remember it", async () => {
    const { asked, resolver } = setUp(() => 0);
    for (let n = 0; n < 2; n++) {
      const [good, bad] = await resolver.resolve("anna", [spec(), spec("bad")]);
      expect(good).toMatchObject({ identity });
      expect(bad).toMatchObject({ reason: "IMAGE_DENIED" });
    }
    expect(asked).toEqual([2, 1]);
  });
});
