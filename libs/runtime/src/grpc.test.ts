import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttp2Server } from "node:http2";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { AppError } from "@berth/core";
import { startOtlpReceiver } from "@berth/test-support";
import { register } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Closing } from "./closing.ts";
import { internalAuthorization, requireInternal } from "./grpc-access.ts";
import { grpcChannel, grpcClient } from "./grpc-client.ts";
import type { GrpcClientOptions } from "./grpc-client.ts";
import { healthService } from "./grpc-health.ts";
import { bindService, serveGrpc } from "./grpc-server.ts";
import type { CallContext, GrpcServerOptions } from "./grpc-server.ts";
import { silentLogger } from "./logger.ts";
import type { LogFields } from "./logger.ts";
import { sleep } from "./retry.ts";
import { startTelemetry, withSpan } from "./telemetry.ts";

interface Words {
  readonly text: string;
}
const serialize = ({ text }: Words) => Buffer.from(text);
const deserialize = (bytes: Buffer): Words => ({ text: bytes.toString() });
const text = {
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
};
const echoService = {
  say: { path: "/test.v1.Echo/Say", requestStream: false, responseStream: false, ...text },
  count: { path: "/test.v1.Echo/Count", requestStream: false, responseStream: true, ...text },
} as const satisfies ServiceDefinition;

const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
};

const secret = "0123456789abcdef";

describe("gRPC between services", () => {
  let closing: Closing;
  let server: Closing;
  const logged: { message: string; fields: LogFields | undefined }[] = [];
  const logger = {
    ...silentLogger,
    error: (message: string, fields?: LogFields) => void logged.push({ message, fields }),
  };
  let calls = 0;
  const seen: CallContext[] = [];

  beforeEach(() => {
    closing = new Closing();
    server = new Closing();
    calls = 0;
    logged.length = 0;
    seen.length = 0;
  });
  afterEach(async () => {
    await closing.close();
    await server.close();
  });

  const echo = bindService(echoService, {
    async say({ text: said }: Words, context: CallContext): Promise<Words> {
      calls += 1;
      seen.push(context);
      if (said === "refuse")
        throw new AppError("quota", "QUOTA_SPENT", "user ann has used up the quota", { metadata: { user: "ann" } });
      if (said === "break") throw new Error("password is 1234");
      if (said === "flaky" && calls < 3) throw new AppError("unavailable", "AWAY", "not yet");
      if (said === "hang") await sleep(60_000, context.signal);
      return { text: said.toUpperCase() };
    },
    async *count({ text: said }: Words, { signal }: CallContext): AsyncGenerator<Words> {
      for (let n = 1; ; n += 1) {
        if (said === `${n}`) return;
        if (said === "refuse") throw new AppError("not-found", "NO_SUCH_THING", "nothing here");
        yield { text: `${n}` };
        if (said === "forever") await sleep(60_000, signal);
      }
    },
  });
  const serve = (options: Partial<GrpcServerOptions> = {}) =>
    serveGrpc({
      address: "127.0.0.1:0",
      services: [echo],
      logger,
      closing: server,
      middleware: [requireInternal(secret)],
      ...options,
    });
  const client = (address: string, options: Partial<GrpcClientOptions> = {}) =>
    grpcClient(echoService, grpcChannel(address, { closing }), {
      service: "echo",
      authorization: internalAuthorization(secret),
      ...options,
    });

  it("answers unary calls and streams", async () => {
    const { address } = await serve();
    const to = client(address);
    expect(await to.say({ text: "hello" })).toEqual({ text: "HELLO" });
    expect(await collect(to.count({ text: "4" }))).toEqual([{ text: "1" }, { text: "2" }, { text: "3" }]);
    expect(await register.metrics()).toContain('berth_grpc_server_seconds_count{method="/test.v1.Echo/Say",code="OK"}');
  });

  it("carries an error with its reason and metadata", async () => {
    const { address } = await serve();
    const to = client(address);
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
    const { address } = await serve();
    const error = await client(address).say({ text: "break" }).catch(AppError.from);
    expect(error).toMatchObject({ code: "internal", reason: "INTERNAL" });
    expect(JSON.stringify(error) + String(error)).not.toContain("1234");
    const { errorId } = (error as AppError).metadata;
    expect(logged).toMatchObject([
      { fields: { errorId, method: "/test.v1.Echo/Say", error: { message: "password is 1234" } } },
    ]);
  });

  it("lets in only who has the cluster's secret, but tells anyone its health", async () => {
    const { address } = await serve();
    for (const authorization of [undefined, "Berth wrong", `Bearer ${secret}`]) {
      const other = grpcClient(echoService, grpcChannel(address, { closing }), {
        service: "echo",
        ...(authorization ? { authorization } : {}),
      });
      await expect(other.say({ text: "hello" })).rejects.toMatchObject({
        code: "unauthenticated",
        reason: "CLUSTER_SECRET",
      });
      await expect(collect(other.count({ text: "3" }))).rejects.toMatchObject({ code: "unauthenticated" });
    }
    expect(calls).toBe(0);
    const health = grpcClient(healthService, grpcChannel(address, { closing }), { service: "echo" });
    expect(await health.check({ service: "test.v1.Echo" })).toEqual({ status: "serving" });
    await expect(health.check({ service: "no.such.Service" })).rejects.toMatchObject({ code: "not-found" });
    expect(() => requireInternal("short")).toThrow("16 characters");
  });

  it("gives up at the deadline, and the server learns of it", async () => {
    const { address } = await serve();
    await expect(client(address).say({ text: "hang" }, { deadlineMs: 50 })).rejects.toMatchObject({
      code: "unavailable",
      reason: "DEADLINE_EXCEEDED",
    });
    if (!seen[0]!.signal.aborted) await new Promise((resolve) => seen[0]!.signal.addEventListener("abort", resolve));
  });

  it("bounds a call by itself", async () => {
    const { address } = await serve({ deadlineMs: 30 });
    await expect(client(address).say({ text: "hang" })).rejects.toMatchObject({
      code: "unavailable",
      reason: "DEADLINE_EXCEEDED",
    });
  });

  it("passes an abort on, and throws its reason", async () => {
    const { address } = await serve();
    const stop = new AbortController();
    const counted: string[] = [];
    const counting = (async () => {
      for await (const { text: n } of client(address).count({ text: "forever" }, { signal: stop.signal })) {
        counted.push(n);
        stop.abort(new Error("enough"));
      }
    })();
    await expect(counting).rejects.toThrow("enough");
    expect(counted).toEqual(["1"]);
    await expect(client(address).say({ text: "hang" }, { signal: stop.signal })).rejects.toThrow("enough");
  });

  it("repeats only what may be repeated", async () => {
    const { address } = await serve();
    expect(await client(address, { idempotent: ["Say"] }).say({ text: "flaky" })).toEqual({ text: "FLAKY" });
    expect(calls).toBe(3);
    calls = 0;
    await expect(client(address).say({ text: "flaky" })).rejects.toMatchObject({ code: "unavailable", reason: "AWAY" });
    expect(calls).toBe(1);
  });

  it("waits for a server that comes later, and names one that does not", async () => {
    const probe = createTcpServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => probe.once("listening", resolve));
    const address = `127.0.0.1:${(probe.address() as AddressInfo).port}`;
    await new Promise((resolve) => probe.close(resolve));
    await expect(client(address).say({ text: "hello" })).rejects.toMatchObject({
      code: "unavailable",
      reason: "PEER_UNAVAILABLE",
      metadata: { service: "echo" },
    });
    const waiting = client(address, { idempotent: true }).say({ text: "hello" });
    await serve({ address });
    expect(await waiting).toEqual({ text: "HELLO" });
  });

  it("goes on with the others of its list where one is away", async () => {
    const gone = new Closing();
    const first = await serve({ closing: gone });
    const second = await serve();
    const to = client(`${first.address},${second.address}`, { idempotent: true });
    for (let n = 0; n < 4; n += 1) await to.say({ text: "hello" });
    await gone.close();
    for (let n = 0; n < 4; n += 1) expect(await to.say({ text: "hello" })).toEqual({ text: "HELLO" });
  });

  it("takes names and sockets in a list, and finds whoever answers", async () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-grpc-"));
    const socket = `unix:${join(dir, "echo.sock")}`;
    const { address } = await serve();
    const port = address.split(":")[1];
    const second = await serve({ address: socket });
    expect(second.address).toBe(socket);
    for (const list of [`localhost:${port}, ${socket}`, `unix:${dir}/none.sock,localhost:${port}`, `localhost:${port}`])
      expect(await client(list, { idempotent: true }).say({ text: "hello" })).toEqual({ text: "HELLO" });
    await expect(client("no-such-host.invalid:1,nowhere").say({ text: "hello" })).rejects.toMatchObject({
      code: "unavailable",
      reason: "PEER_UNAVAILABLE",
    });
    await server.close();
    rmSync(dir, { recursive: true });
  });

  it("leaves a copy that does not answer after a third of the deadline", async () => {
    const stuck = createHttp2Server().listen(0, "127.0.0.1"); // connects, and never says a word
    await new Promise((resolve) => stuck.once("listening", resolve));
    const { address } = await serve();
    const list = `127.0.0.1:${(stuck.address() as AddressInfo).port},${address}`;
    const to = client(list, { idempotent: true, deadlineMs: 900 });
    for (let n = 0; n < 3; n += 1) await to.say({ text: "hello" }); // both are connected by now
    const times: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      const from = performance.now();
      expect(await to.say({ text: "hello" })).toEqual({ text: "HELLO" });
      times.push(performance.now() - from);
    }
    expect(Math.max(...times)).toBeGreaterThan(250);
    expect(Math.max(...times)).toBeLessThan(850);
    await closing.close();
    stuck.close();
  });

  it("serves on a socket, also where a killed process left its file", async () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-grpc-"));
    const address = `unix:${join(dir, "echo.sock")}`;
    const { address: bound } = await serve({ address });
    expect(bound).toBe(address);
    expect(await client(address).say({ text: "hello" })).toEqual({ text: "HELLO" });
    await server.close();
    rmSync(dir, { recursive: true });
  });

  it("makes one trace of a call and what is done for it", async () => {
    const receiver = await startOtlpReceiver();
    const telemetry = new Closing();
    await startTelemetry({ service: "test", otlpUrl: receiver.url, closing: telemetry });
    const { address } = await serve();
    await withSpan("submit", {}, async () => {
      await client(address).say({ text: "hello" });
      await collect(client(address).count({ text: "3" }));
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

  it("says that it stops, ends its streams, and finishes its calls", async () => {
    const { address } = await serve();
    const to = client(address);
    const health = grpcClient(healthService, grpcChannel(address, { closing }), { service: "echo" });
    const states: string[] = [];
    const watching = (async () => {
      for await (const { status } of health.watch({ service: "" })) states.push(status);
    })();
    const stream = to.count({ text: "forever" })[Symbol.asyncIterator]();
    await stream.next();
    while (states.length === 0) await new Promise(setImmediate);
    const next = stream.next();
    const stopped = server.close();
    await expect(next).rejects.toMatchObject({ code: "unavailable", reason: "SERVER_STOPPING" });
    await expect(watching).rejects.toMatchObject({ code: "unavailable" });
    expect(states).toEqual(["serving", "not-serving"]);
    await stopped;
  });

  it("cuts what does not end in time", async () => {
    const { address } = await serve({ drainMs: 50 });
    const hanging = client(address).say({ text: "hang" }).catch(AppError.from);
    while (calls === 0) await new Promise(setImmediate);
    await server.close();
    expect(await hanging).toMatchObject({ code: "unavailable" });
  });
});
