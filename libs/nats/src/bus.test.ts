import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@berth/core";
import type { Codec, Subject } from "@berth/contracts";
import { Closing, retry, silentLogger } from "@berth/runtime";
import { startNats } from "@berth/test-support";
import type { NatsServer } from "@berth/test-support";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connectBus } from "./bus.ts";
import type { Bus, BusOptions } from "./bus.ts";

const text: Codec<string> = {
  encode: (message) => ({ finish: () => Buffer.from(message) }),
  decode: (bytes) => {
    const message = Buffer.from(bytes).toString();
    if (message === "garbage") throw new Error("not a message");
    return message;
  },
};
const subject = (verb: string, type = "test.v1.Say"): Subject<string, string> => ({
  type,
  of: (host) => `berth.v1.host.${host}.${verb}`,
  all: `berth.v1.host.*.${verb}`,
  request: text,
  reply: text,
});
const say = subject("say");

describe("Bus over a real nats-server", () => {
  let dir: string;
  let server: NatsServer;
  let closing: Closing;
  const access = { user: "berth", password: "not-a-default" };
  const start = (port?: number) => startNats({ dir, ...access, ...(port ? { port } : {}) });
  const bus = (options: Partial<BusOptions> = {}): Bus =>
    connectBus({ servers: server.url, ...access, name: "test", closing, logger: silentLogger, ...options });
  const readyBus = async (options: Partial<BusOptions> = {}): Promise<Bus> => {
    const made = bus(options);
    await made.ready();
    return made;
  };

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), "berth-bus-"));
    closing = new Closing();
    server = await start();
  });
  afterEach(async () => {
    await closing.close();
    await server.kill();
    rmSync(dir, { recursive: true, force: true });
  });

  it("asks one host, and is answered by whoever serves all", async () => {
    const watcher = await readyBus();
    watcher.serve(say, "*", async (message, { host }) => `${host}: ${message}`, { queue: "watcher" });
    await watcher.ready();
    const agent = await readyBus({ inboxPrefix: "berth.v1.host.h1.inbox" });
    expect(await agent.request(say, "h1", "hello")).toBe("h1: hello");
  });

  it("gives each message to one of a queue group, and what is published to all that listen", async () => {
    const heard: string[] = [];
    const both = Promise.withResolvers<void>();
    const asked: string[] = [];
    for (const name of ["a", "b"]) {
      const one = await readyBus();
      one.serve(say, "*", async () => (asked.push(name), name), { queue: "watcher" });
      one.serve(subject("wake"), "h1", async () => {
        if (heard.push(name) === 2) both.resolve();
        return "";
      });
      await one.ready();
    }
    const other = await readyBus();
    for (let n = 0; n < 20; n += 1) await other.request(say, "h1", "x");
    expect(asked.length).toBe(20);
    other.publish(subject("wake"), "h1", "");
    await both.promise;
    expect(heard.toSorted()).toEqual(["a", "b"]);
  });

  it("carries an error of ours, and keeps the inside of others at home", async () => {
    const serving = await readyBus();
    serving.serve(say, "h1", async (message) => {
      if (message === "refuse")
        throw AppError.received("quota", "QUOTA_SPENT", "müde\nzwei", { metadata: { user: "ann" } });
      throw new Error("password is 1234");
    });
    await serving.ready();
    await expect(serving.request(say, "h1", "refuse")).rejects.toMatchObject({
      code: "quota",
      reason: "QUOTA_SPENT",
      message: "müde\nzwei",
      metadata: { user: "ann" },
    });
    const error = await serving.request(say, "h1", "break").catch(AppError.from);
    expect(error).toMatchObject({ code: "internal" });
    expect(String(error)).not.toContain("1234");
  });

  it("answers what it cannot read, or what is of another type, with an error", async () => {
    const serving = await readyBus();
    serving.serve(say, "h1", async () => "never");
    await serving.ready();
    await expect(serving.request(say, "h1", "garbage")).rejects.toMatchObject({
      code: "invalid",
      reason: "MESSAGE_UNREADABLE",
    });
    await expect(serving.request(subject("say", "test.v1.Other"), "h1", "x")).rejects.toMatchObject({
      code: "invalid",
      reason: "MESSAGE_TYPE",
    });
    await expect(serving.request(say, "h1", "x".repeat(9_000_000))).rejects.toMatchObject({
      code: "invalid",
      reason: "MESSAGE_TOO_LARGE",
    });
  });

  it("says that nobody serves, that no reply came in time, and that it was aborted", async () => {
    const one = await readyBus();
    await expect(one.request(say, "h1", "x")).rejects.toMatchObject({ code: "unavailable", reason: "NO_RESPONDER" });
    one.serve(say, "h1", () => new Promise(() => {}));
    await one.ready();
    await expect(one.request(say, "h1", "x", { timeoutMs: 50 })).rejects.toMatchObject({
      code: "unavailable",
      reason: "DEADLINE_EXCEEDED",
    });
    const stop = new AbortController();
    const waiting = one.request(say, "h1", "x", { signal: stop.signal, timeoutMs: 500 });
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
  });

  it("runs a bounded number of handlers, and refuses what is more than it may queue", async () => {
    const serving = await readyBus();
    const gate = Promise.withResolvers<void>();
    let most = 0;
    let now = 0;
    const limits = { maxConcurrent: 2, maxQueued: 3 };
    serving.serve(
      say,
      "h1",
      async () => ((most = Math.max(most, (now += 1))), await gate.promise, (now -= 1), "done"),
      limits,
    );
    await serving.ready();
    const calls = Array.from({ length: 6 }, () =>
      serving.request(say, "h1", "x").catch((error: AppError) => error.reason),
    );
    expect(await Promise.race(calls)).toBe("BUSY");
    gate.resolve();
    expect((await Promise.all(calls)).toSorted()).toEqual(["BUSY", "done", "done", "done", "done", "done"]);
    expect(most).toBe(2);
  });

  it("stops serving when it is told to", async () => {
    const serving = await readyBus();
    const stop = new AbortController();
    serving.serve(say, "h1", async () => "here", { signal: stop.signal });
    await serving.ready();
    expect(await serving.request(say, "h1", "x")).toBe("here");
    stop.abort();
    await serving.ready();
    await expect(serving.request(say, "h1", "x")).rejects.toMatchObject({ reason: "NO_RESPONDER" });
  });

  it("starts without a server, fails at once meanwhile, and serves when it comes", async () => {
    const { port } = server;
    await server.kill();
    let connections = 0;
    const early = bus({ onConnected: () => void (connections += 1) });
    early.serve(say, "h1", async (message) => message.toUpperCase());
    await expect(early.request(say, "h1", "x")).rejects.toMatchObject({ code: "unavailable", reason: "BUS_AWAY" });
    early.publish(say, "h1", "x");
    server = await start(port);
    await early.ready();
    expect(await early.request(say, "h1", "hello")).toBe("HELLO");
    expect(connections).toBe(1);
  });

  it("survives a server that is killed, wiped and started again", async () => {
    const again = Promise.withResolvers<void>();
    let connections = 0;
    const serving = await readyBus({ onConnected: () => void ((connections += 1) === 2 && again.resolve()) });
    serving.serve(say, "h1", async (message) => message.toUpperCase());
    await serving.ready();
    const asking = await readyBus();
    expect(await asking.request(say, "h1", "one")).toBe("ONE");
    const { port } = server;
    await server.kill();
    rmSync(dir, { recursive: true });
    server = await start(port);
    await again.promise;
    expect(await retry(() => asking.request(say, "h1", "two", { timeoutMs: 500 }), { forMs: 5_000 })).toBe("TWO");
  });

  it("closes while its server is away", async () => {
    const { port } = server;
    const never = new Closing();
    await server.kill();
    bus({ closing: never });
    await never.close();
    server = await start(port);
    const lost = new Closing();
    await readyBus({ closing: lost });
    await server.kill();
    await lost.close();
  });
});
