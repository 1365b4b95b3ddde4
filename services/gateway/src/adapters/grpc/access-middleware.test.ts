import { once } from "node:events";
import { AppError } from "@berth/core";
import { Metadata } from "nice-grpc-common";
import { describe, expect, it } from "vitest";
import { makeAuthorize } from "../../app/authorize.ts";
import type { Sessions } from "../../app/sessions.ts";
import { streamLimit } from "../../app/stream-limit.ts";
import { accessMiddleware, admitCallers } from "./access-middleware.ts";

const sessions = {
  async callerOf(credential: string) {
    if (credential === "root") return { user: "root-like", admin: true, keyId: "" };
    if (credential === "anna") return { user: "anna", admin: false, keyId: "" };
    throw new AppError("unauthenticated", "BAD_TOKEN", "not valid");
  },
  knownCaller: () => undefined,
  forgetKey() {},
  forgetAll() {},
};

function caller(most = 1, of: Sessions = sessions) {
  const middleware = accessMiddleware(makeAuthorize(of), streamLimit(most), { recheckMs: 5 });
  return (path: string, credential: string | undefined, responseStream = false) => {
    const metadata = Metadata(credential === undefined ? {} : { authorization: `Bearer ${credential}` });
    const next = async function* (_: unknown, context: { caller: { user: string }; signal: AbortSignal }) {
      if (responseStream) yield context.caller.user;
      if (path.endsWith("ReadLog")) await once(context.signal, "abort");
      return context.caller.user;
    };
    return middleware(
      { method: { path }, request: {}, requestStream: false, responseStream, next } as never,
      { metadata, signal: new AbortController().signal } as never,
    ) as AsyncGenerator<string, string>;
  };
}
const answer = async (steps: AsyncGenerator<string, string>) => (await steps.next()).value;

describe("accessMiddleware", () => {
  const call = caller();

  it("lets in by the table", async () => {
    expect(await answer(call("/berth.api.v1.SessionService/Login", undefined))).toBe("");
    expect(await answer(call("/grpc.health.v1.Health/Check", undefined))).toBe("");
    expect(await answer(call("/berth.api.v1.TaskService/GetTask", "anna"))).toBe("anna");
    expect(await answer(call("/berth.api.v1.SessionService/CreateUser", "root"))).toBe("root-like");
  });

  it("takes whom the admission let in, and asks nobody again", async () => {
    const authorize = () => Promise.reject(new Error("asked again"));
    const next = async function* (_: unknown, context: { caller: object }) {
      yield* [];
      return context.caller;
    };
    const steps = accessMiddleware(authorize, streamLimit(1))(
      { method: { path: "/berth.api.v1.TaskService/GetTask" }, request: {}, next } as never,
      { metadata: Metadata(), peer: "10.0.0.1:4711", admitted: { user: "anna", admin: false, keyId: "k" } } as never,
    );
    expect((await steps.next()).value).toEqual({ user: "anna", admin: false, keyId: "k", address: "10.0.0.1" });
  });

  it("refuses missing and unknown credentials, admin calls by others, and methods outside the table", async () => {
    await expect(answer(call("/berth.api.v1.TaskService/GetTask", undefined))).rejects.toMatchObject({
      code: "unauthenticated",
      reason: "NO_CREDENTIALS",
    });
    await expect(answer(call("/berth.api.v1.TaskService/GetTask", "x"))).rejects.toMatchObject({
      code: "unauthenticated",
      reason: "BAD_TOKEN",
    });
    await expect(answer(call("/berth.api.v1.SessionService/CreateUser", "anna"))).rejects.toMatchObject({
      code: "denied",
      reason: "ADMINS_ONLY",
    });
    await expect(answer(call("/berth.api.v1.TaskService/DeleteEverything", "anna"))).rejects.toMatchObject({
      code: "denied",
    });
  });

  it("counts a user's open streams and gives the place back", async () => {
    const watch = "/berth.api.v1.TaskService/WatchTasks";
    const open = call(watch, "anna", true);
    await open.next();
    await expect(answer(call(watch, "anna", true))).rejects.toMatchObject({
      code: "quota",
      reason: "TOO_MANY_STREAMS",
    });
    expect(await answer(call(watch, "root", true))).toBe("root-like");
    await open.return("");
    expect(await answer(call(watch, "anna", true))).toBe("anna");
  });

  it("ends a stream whose credential holds no longer, with the reason, and not where auth is away", async () => {
    let asked = 0;
    const changing: Sessions = {
      async callerOf() {
        asked += 1;
        if (asked === 2) throw AppError.received("unavailable", "AWAY", "auth is away");
        if (asked > 3) throw new AppError("unauthenticated", "BAD_KEY", "revoked");
        return { user: "anna", admin: false, keyId: "" };
      },
      knownCaller: () => undefined,
      forgetKey() {},
      forgetAll() {},
    };
    const stream = caller(1, changing)("/berth.api.v1.TaskService/ReadLog", "anna", true);
    await stream.next();
    await expect(stream.next()).rejects.toMatchObject({ code: "unauthenticated", reason: "BAD_KEY" });
    expect(asked).toBe(4);
  });
});

describe("admitCallers", () => {
  it("lets in at once whom it knows from memory, by the same table", () => {
    const known = (admin: boolean): Sessions => ({
      ...sessions,
      knownCaller: () => ({ user: "anna", admin, keyId: "" }),
      callerOf: () => Promise.reject(new Error("asked")),
    });
    const path = "/berth.api.v1.SessionService/CreateUser";
    const admitOf = (admin: boolean) => () =>
      admitCallers(makeAuthorize(known(admin)))(path, "Bearer anna", () => undefined);
    expect(admitOf(true)()).toMatchObject({ user: "anna", admin: true });
    expect(admitOf(false)).toThrow("for admins");
  });

  const admitAll = admitCallers(makeAuthorize(sessions));
  const admit = async (path: string, authorization: string) => admitAll(path, authorization, () => undefined);

  it("names who may call, before their message is read, and nobody for what is open to all", async () => {
    expect(await admit("/berth.api.v1.TaskService/GetTask", "Bearer anna")).toMatchObject({
      user: "anna",
      admin: false,
    });
    expect(await admit("/berth.api.v1.SessionService/Login", "")).toBeUndefined();
    await expect(admit("/berth.api.v1.TaskService/SubmitTasks", "")).rejects.toMatchObject({
      reason: "NO_CREDENTIALS",
    });
    await expect(admit("/berth.api.v1.SessionService/CreateUser", "Bearer anna")).rejects.toMatchObject({
      reason: "ADMINS_ONLY",
    });
  });
});
