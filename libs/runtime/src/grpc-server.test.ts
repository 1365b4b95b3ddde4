import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@berth/core";
import { Echo } from "@berth/test-support";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { grpcChannel, grpcClient } from "./grpc-client.ts";
import { healthService } from "./grpc-health.ts";

describe("a gRPC server", () => {
  let echo: Echo;
  beforeEach(() => void (echo = new Echo()));
  afterEach(() => echo[Symbol.asyncDispose]());

  it("serves on a socket, also where a killed process left its file", async () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-grpc-"));
    const address = `unix:${join(dir, "echo.sock")}`;
    const { address: bound } = await echo.serve({ address });
    expect(bound).toBe(address);
    expect(await echo.client(address).say({ text: "hello" })).toEqual({ text: "HELLO" });
    await echo.server.close();
    rmSync(dir, { recursive: true });
  });

  it("says that it stops, ends its streams, and finishes its calls", async () => {
    const { address } = await echo.serve();
    const to = echo.client(address);
    const health = grpcClient(healthService, grpcChannel(address, { closing: echo.closing }), { service: "echo" });
    const states: string[] = [];
    const watching = (async () => {
      for await (const { status } of health.watch({ service: "" })) states.push(status);
    })();
    const stream = to.count({ text: "forever" })[Symbol.asyncIterator]();
    await stream.next();
    while (states.length === 0) await new Promise(setImmediate);
    const next = stream.next();
    const stopped = echo.server.close();
    await expect(next).rejects.toMatchObject({ code: "unavailable", reason: "SERVER_STOPPING" });
    await expect(watching).rejects.toMatchObject({ code: "unavailable" });
    expect(states).toEqual(["serving", "not-serving"]);
    await stopped;
  });

  it("cuts what does not end in time", async () => {
    const { address } = await echo.serve({ drainMs: 50 });
    const hanging = echo.client(address).say({ text: "hang" }).catch(AppError.from);
    while (echo.seen.length === 0) await new Promise(setImmediate);
    await echo.server.close();
    expect(await hanging).toMatchObject({ code: "unavailable" });
  });
});
