import { AppError } from "@berth/core";
import { Metadata } from "nice-grpc-common";
import { describe, expect, it } from "vitest";
import { streamLimit } from "../../app/stream-limit.ts";
import { accessMiddleware } from "./access-middleware.ts";

const sessions = {
  async callerOf(credential: string) {
    if (credential === "root") return { user: "root-like", admin: true };
    if (credential === "anna") return { user: "anna", admin: false };
    throw new AppError("unauthenticated", "BAD_TOKEN", "not valid");
  },
  forgetKey() {},
};

function caller(most = 1) {
  const middleware = accessMiddleware(sessions, streamLimit(most));
  return (path: string, credential: string | undefined, responseStream = false) => {
    const metadata = Metadata(credential === undefined ? {} : { authorization: `Bearer ${credential}` });
    const next = async function* (_: unknown, context: { caller: { user: string } }) {
      if (responseStream) yield context.caller.user;
      return context.caller.user;
    };
    return middleware(
      { method: { path }, request: {}, requestStream: false, responseStream, next } as never,
      { metadata } as never,
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

  it("refuses who has no credentials, whom it does not know, who is no admin, and what is not in the table", async () => {
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
});
