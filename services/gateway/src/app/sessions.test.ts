import { AppError } from "@berth/core";
import { Role } from "@berth/contracts/auth";
import { describe, expect, it } from "vitest";
import { sessionCacheMs, makeSessions } from "./sessions.ts";

const right = "berth_abcdefghijkl_right";
const minute = 60_000;

function world() {
  const state = {
    now: 0,
    exchanged: 0,
    checked: 0,
    verified: 0,
    revoked: false,
    away: false,
    keyEnds: undefined as Date | undefined,
    role: Role.USER as Role,
  };
  const answers = () => {
    if (state.away) throw new AppError("unavailable", "PEER_UNAVAILABLE", "auth is away");
  };
  const auth = {
    async exchangeKey({ key }: { key: string }) {
      state.exchanged += 1;
      answers();
      if (key !== right || state.revoked) throw new AppError("denied", "BAD_KEY", "no such key");
      return { accessToken: "t", expireTime: state.keyEnds, user: { name: "anna", role: Role.ADMIN } };
    },
    async checkSession({ user }: { user: string; keyId: string }) {
      state.checked += 1;
      answers();
      if (state.revoked) throw new AppError("denied", "SESSION_ENDED", "revoked");
      return { user: { name: user, role: state.role } };
    },
  } as unknown as Parameters<typeof makeSessions>[0]["auth"];
  const verify = async (token: string) => {
    state.verified += 1;
    if (token !== "good") throw new AppError("unauthenticated", "BAD_TOKEN", "not valid");
    return { user: "ben", admin: false, keyId: "k1", expiresAtMs: 15 * minute };
  };
  return { sessions: makeSessions({ auth, verify, now: () => state.now }), state };
}

describe("sessions by key", () => {
  it("ask auth once, for seconds", async () => {
    const { sessions, state } = world();
    const callers = await Promise.all(Array.from({ length: 20 }, () => sessions.callerOf(right)));
    expect(callers[0]).toEqual({ user: "anna", admin: true, keyId: "abcdefghijkl" });
    expect(state.exchanged).toBe(1);
    state.now = sessionCacheMs;
    state.revoked = true;
    await expect(sessions.callerOf(right)).rejects.toMatchObject({ code: "unauthenticated", reason: "BAD_KEY" });
  });

  it("do not take another secret under the id of a good key, nor forget the good one", async () => {
    const { sessions, state } = world();
    await sessions.callerOf(right);
    await expect(sessions.callerOf("berth_abcdefghijkl_wrong")).rejects.toMatchObject({ reason: "BAD_KEY" });
    await sessions.callerOf(right);
    expect(state.exchanged).toBe(2);
  });

  it("end at once where the key is revoked here", async () => {
    const { sessions, state } = world();
    await sessions.callerOf(right);
    state.revoked = true;
    sessions.forgetKey("anna", "abcdefghijkl");
    await expect(sessions.callerOf(right)).rejects.toMatchObject({ reason: "BAD_KEY" });
  });

  it("end with the key, though auth's answer would count longer", async () => {
    const { sessions, state } = world();
    state.keyEnds = new Date(1_000);
    await sessions.callerOf(right);
    state.now = 1_000;
    state.revoked = true;
    await expect(sessions.callerOf(right)).rejects.toMatchObject({ reason: "BAD_KEY" });
  });

  it("outlast auth for a minute, and no longer", async () => {
    const { sessions, state } = world();
    await sessions.callerOf(right);
    state.away = true;
    state.now = minute - 1;
    expect(await sessions.callerOf(right)).toMatchObject({ user: "anna" });
    await expect(sessions.callerOf("berth_abcdefghijkl_wrong")).rejects.toMatchObject({ code: "unavailable" });
    state.now = minute + sessionCacheMs;
    await expect(sessions.callerOf(right)).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("a caller that is known from memory", () => {
  it("is so by the right key only, and no longer than auth's answer counts", async () => {
    const { sessions, state } = world();
    const known = () => sessions.knownCaller(right);
    expect(known()).toBeUndefined();
    state.keyEnds = new Date(2_000);
    await sessions.callerOf(right);
    expect(known()).toEqual({ user: "anna", admin: true, keyId: "abcdefghijkl" });
    expect(sessions.knownCaller("berth_abcdefghijkl_wrong")).toBeUndefined();
    sessions.forgetKey("anna", "abcdefghijkl");
    expect(known()).toBeUndefined();
    await sessions.callerOf(right);
    state.now = 1_999;
    expect(known()).toBeDefined();
    state.now = 2_000; // the key's end
    expect(known()).toBeUndefined();
  });

  it("is so by a token until auth is to be asked again, or a user was changed", async () => {
    const { sessions, state } = world();
    const known = () => sessions.knownCaller("good");
    expect(known()).toBeUndefined();
    await sessions.callerOf("good");
    await sessions.callerOf("good");
    expect(known()).toMatchObject({ user: "ben", keyId: "k1" });
    sessions.forgetAll();
    expect(known()).toBeUndefined();
    await sessions.callerOf("good");
    expect(known()).toBeDefined();
    state.now = sessionCacheMs;
    expect(known()).toBeUndefined();
  });
});

describe("sessions by token", () => {
  it("verify it once, ask auth for seconds, and not beyond its end", async () => {
    const { sessions, state } = world();
    await sessions.callerOf("good");
    expect(await sessions.callerOf("good")).toEqual({ user: "ben", admin: false, keyId: "k1" });
    expect(state).toMatchObject({ verified: 1, checked: 1 });
    state.now = 15 * minute;
    await sessions.callerOf("good");
    expect(state.verified).toBe(2);
    await expect(sessions.callerOf("forged")).rejects.toMatchObject({ reason: "BAD_TOKEN" });
  });

  it("end within seconds of a revocation, and follow a change of role", async () => {
    const { sessions, state } = world();
    await sessions.callerOf("good");
    state.role = Role.ADMIN;
    state.now = sessionCacheMs;
    expect(await sessions.callerOf("good")).toMatchObject({ admin: true });
    state.revoked = true;
    state.now = 2 * sessionCacheMs;
    await expect(sessions.callerOf("good")).rejects.toMatchObject({
      code: "unauthenticated",
      reason: "SESSION_ENDED",
    });
  });

  it("outlast auth until the token ends, asking it once in a while", async () => {
    const { sessions, state } = world();
    state.away = true;
    for (let n = 0; n < 10; n++) expect(await sessions.callerOf("good")).toMatchObject({ user: "ben" });
    expect(state.checked).toBe(1);
  });
});
