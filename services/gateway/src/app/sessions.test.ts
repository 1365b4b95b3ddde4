import { AppError } from "@berth/core";
import { Role } from "@berth/contracts/auth";
import { describe, expect, it } from "vitest";
import { makeSessions } from "./sessions.ts";

const right = "berth_abcdefghijkl_right";

function world() {
  const state = { now: 0, asked: 0, revoked: false, verified: 0 };
  const auth = {
    async exchangeKey({ key }: { key: string }) {
      state.asked += 1;
      if (key !== right || state.revoked) throw new AppError("denied", "BAD_KEY", "no such key");
      return { accessToken: "t", expireTime: undefined, user: { name: "anna", role: Role.ADMIN } };
    },
  } as unknown as Parameters<typeof makeSessions>[0]["auth"];
  const verify = async (token: string) => {
    state.verified += 1;
    if (token !== "good") throw new AppError("unauthenticated", "BAD_TOKEN", "not valid");
    return { user: "ben", admin: false, expiresAtMs: 5_000 };
  };
  return { sessions: makeSessions({ auth, verify, now: () => state.now }), state };
}

describe("sessions", () => {
  it("asks auth once for a key, for a while", async () => {
    const { sessions, state } = world();
    const callers = await Promise.all(Array.from({ length: 20 }, () => sessions.callerOf(right)));
    expect(callers[0]).toEqual({ user: "anna", admin: true });
    expect(state.asked).toBe(1);
    state.now = 10_000;
    state.revoked = true;
    await expect(sessions.callerOf(right)).rejects.toMatchObject({ code: "unauthenticated", reason: "BAD_KEY" });
  });

  it("does not take another secret under the id of a good key, nor forget the good one", async () => {
    const { sessions, state } = world();
    await sessions.callerOf(right);
    await expect(sessions.callerOf("berth_abcdefghijkl_wrong")).rejects.toMatchObject({ reason: "BAD_KEY" });
    await sessions.callerOf(right);
    expect(state.asked).toBe(2);
  });

  it("forgets a key that is revoked here at once", async () => {
    const { sessions, state } = world();
    await sessions.callerOf(right);
    state.revoked = true;
    sessions.forgetKey("abcdefghijkl");
    await expect(sessions.callerOf(right)).rejects.toMatchObject({ reason: "BAD_KEY" });
  });

  it("verifies a token once and not beyond its end", async () => {
    const { sessions, state } = world();
    await sessions.callerOf("good");
    expect(await sessions.callerOf("good")).toMatchObject({ user: "ben", admin: false });
    expect(state.verified).toBe(1);
    state.now = 5_000;
    await sessions.callerOf("good");
    expect(state.verified).toBe(2);
    await expect(sessions.callerOf("forged")).rejects.toMatchObject({ reason: "BAD_TOKEN" });
  });
});
