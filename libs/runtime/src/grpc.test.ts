import { AppError } from "@berth/core";
import { Echo, echoService, startOtlpReceiver } from "@berth/test-support";
import { register } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Closing } from "./closing.ts";
import { requireInternal } from "./grpc-access.ts";
import { grpcChannel, grpcClient } from "./grpc-client.ts";
import { healthService } from "./grpc-health.ts";
import { startTelemetry, withSpan } from "./telemetry.ts";

const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
};

describe("gRPC between services", () => {
  let echo: Echo;
  beforeEach(() => void (echo = new Echo()));
  afterEach(() => echo[Symbol.asyncDispose]());

  it("answers unary calls and streams", async () => {
    const { address } = await echo.serve();
    const to = echo.client(address);
    expect(await to.say({ text: "hello" })).toEqual({ text: "HELLO" });
    expect(await collect(to.count({ text: "4" }))).toEqual([{ text: "1" }, { text: "2" }, { text: "3" }]);
    expect(await register.metrics()).toContain('berth_grpc_server_seconds_count{method="/test.v1.Echo/Say",code="OK"}');
  });

  it("carries an error with its reason and metadata", async () => {
    const { address } = await echo.serve();
    const to = echo.client(address);
    const quota = {
      code: "quota",
      reason: "QUOTA_SPENT",
      message: "user ann has used up the quota",
      metadata: { user: "ann" },
    };
    await expect(to.say({ text: "refuse" })).rejects.toMatchObject(quota);
    await expect(to.say({ text: "refuse" })).rejects.toBeInstanceOf(AppError);
    await expect(collect(to.count({ text: "refuse" }))).rejects.toMatchObject({
      code: "not-found",
      reason: "NO_SUCH_THING",
    });
  });

  it("keeps the inside of an unknown error at home, and logs it under the id that the client gets", async () => {
    const { address } = await echo.serve();
    const error = await echo.client(address).say({ text: "break" }).catch(AppError.from);
    expect(error).toMatchObject({ code: "internal", reason: "INTERNAL" });
    expect(JSON.stringify(error) + String(error)).not.toContain("1234");
    const { errorId } = (error as AppError).metadata;
    expect(echo.logged).toMatchObject([
      { fields: { errorId, method: "/test.v1.Echo/Say", error: { message: "password is 1234" } } },
    ]);
  });

  it("lets in only who has the cluster's secret, but tells anyone its health", async () => {
    const { address } = await echo.serve();
    for (const authorization of [undefined, "Berth wrong", `Bearer ${echo.secret}`]) {
      const other = grpcClient(echoService, grpcChannel(address, { closing: echo.closing }), {
        service: "echo",
        ...(authorization ? { authorization } : {}),
      });
      await expect(other.say({ text: "hello" })).rejects.toMatchObject({
        code: "unauthenticated",
        reason: "CLUSTER_SECRET",
      });
      await expect(collect(other.count({ text: "3" }))).rejects.toMatchObject({ code: "unauthenticated" });
    }
    expect(echo.seen.length).toBe(0);
    const health = grpcClient(healthService, grpcChannel(address, { closing: echo.closing }), { service: "echo" });
    expect(await health.check({ service: "test.v1.Echo" })).toEqual({ status: "serving" });
    await expect(health.check({ service: "no.such.Service" })).rejects.toMatchObject({ code: "not-found" });
    expect(() => requireInternal("short")).toThrow("16 characters");
  });

  it("gives up at the deadline, and the server learns of it", async () => {
    const { address } = await echo.serve();
    await expect(echo.client(address).say({ text: "hang" }, { deadlineMs: 50 })).rejects.toMatchObject({
      code: "unavailable",
      reason: "DEADLINE_EXCEEDED",
    });
    if (!echo.seen[0]!.signal.aborted)
      await new Promise((resolve) => echo.seen[0]!.signal.addEventListener("abort", resolve));
  });

  it("bounds a call by itself", async () => {
    const { address } = await echo.serve({ deadlineMs: 30 });
    await expect(echo.client(address).say({ text: "hang" })).rejects.toMatchObject({
      code: "unavailable",
      reason: "DEADLINE_EXCEEDED",
    });
  });

  it("passes an abort on, and throws its reason", async () => {
    const { address } = await echo.serve();
    const stop = new AbortController();
    const counted: string[] = [];
    const counting = (async () => {
      for await (const { text: n } of echo.client(address).count({ text: "forever" }, { signal: stop.signal })) {
        counted.push(n);
        stop.abort(new Error("enough"));
      }
    })();
    await expect(counting).rejects.toThrow("enough");
    expect(counted).toEqual(["1"]);
    await expect(echo.client(address).say({ text: "hang" }, { signal: stop.signal })).rejects.toThrow("enough");
  });

  it("makes one trace of a call and what is done for it", async () => {
    const receiver = await startOtlpReceiver();
    const telemetry = new Closing();
    await startTelemetry({ service: "test", otlpUrl: receiver.url, closing: telemetry });
    const { address } = await echo.serve();
    await withSpan("submit", {}, async () => {
      await echo.client(address).say({ text: "hello" });
      await collect(echo.client(address).count({ text: "3" }));
    });
    await telemetry.close();
    await receiver.close();
    const submit = receiver.spans.find((span) => span.name === "submit")!;
    expect(new Set(receiver.spans.map((span) => span.traceId))).toEqual(new Set([submit.traceId]));
    const parents = receiver.spans.map(
      (span) => `${span.name} < ${receiver.spans.find((other) => other.spanId === span.parentSpanId)?.name}`,
    );
    expect(parents.toSorted()).toEqual([
      "submit < undefined",
      "test.v1.Echo/Count < submit",
      "test.v1.Echo/Say < submit",
      "test.v1.Echo/Say < test.v1.Echo/Say",
    ]);
  });
});
