import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttp2Server } from "node:http2";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Echo } from "@berth/test-support";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Closing } from "./closing.ts";

describe("a gRPC client of servers that are away or come back", () => {
  let echo: Echo;
  beforeEach(() => void (echo = new Echo()));
  afterEach(() => echo[Symbol.asyncDispose]());

  it("repeats only what may be repeated", async () => {
    const { address } = await echo.serve();
    expect(await echo.client(address, { idempotent: ["Say"] }).say({ text: "flaky" })).toEqual({ text: "FLAKY" });
    expect(echo.seen.length).toBe(3);
    echo.seen.length = 0;
    await expect(echo.client(address).say({ text: "flaky" })).rejects.toMatchObject({
      code: "unavailable",
      reason: "AWAY",
    });
    expect(echo.seen.length).toBe(1);
  });

  it("waits for a server that comes later, and names one that does not", async () => {
    const probe = createTcpServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => probe.once("listening", resolve));
    const address = `127.0.0.1:${(probe.address() as AddressInfo).port}`;
    await new Promise((resolve) => probe.close(resolve));
    await expect(echo.client(address).say({ text: "hello" })).rejects.toMatchObject({
      code: "unavailable",
      reason: "PEER_UNAVAILABLE",
      metadata: { service: "echo" },
    });
    const waiting = echo.client(address, { idempotent: true }).say({ text: "hello" });
    await echo.serve({ address });
    expect(await waiting).toEqual({ text: "HELLO" });
  });

  it("goes on with the others of its list where one is away", async () => {
    const gone = new Closing();
    const first = await echo.serve({ closing: gone });
    const second = await echo.serve();
    const to = echo.client(`${first.address},${second.address}`, { idempotent: true });
    for (let n = 0; n < 4; n += 1) await to.say({ text: "hello" });
    await gone.close();
    for (let n = 0; n < 4; n += 1) expect(await to.say({ text: "hello" })).toEqual({ text: "HELLO" });
  });

  it("takes names and sockets in a list, and finds whoever answers", async () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-grpc-"));
    const socket = `unix:${join(dir, "echo.sock")}`;
    const { address } = await echo.serve();
    const port = address.split(":")[1];
    const second = await echo.serve({ address: socket });
    expect(second.address).toBe(socket);
    for (const list of [`localhost:${port}, ${socket}`, `unix:${dir}/none.sock,localhost:${port}`, `localhost:${port}`])
      expect(await echo.client(list, { idempotent: true }).say({ text: "hello" })).toEqual({ text: "HELLO" });
    await expect(echo.client("no-such-host.invalid:1,nowhere").say({ text: "hello" })).rejects.toMatchObject({
      code: "unavailable",
      reason: "PEER_UNAVAILABLE",
    });
    await echo.server.close();
    rmSync(dir, { recursive: true });
  });

  it("leaves a copy that does not answer after a third of the deadline", async () => {
    const stuck = createHttp2Server().listen(0, "127.0.0.1"); // connects, and never says a word
    await new Promise((resolve) => stuck.once("listening", resolve));
    const { address } = await echo.serve();
    const list = `127.0.0.1:${(stuck.address() as AddressInfo).port},${address}`;
    const to = echo.client(list, { idempotent: true, deadlineMs: 900 });
    for (let n = 0; n < 3; n += 1) await to.say({ text: "hello" }); // both are connected by now
    const times: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      const from = performance.now();
      expect(await to.say({ text: "hello" })).toEqual({ text: "HELLO" });
      times.push(performance.now() - from);
    }
    expect(Math.max(...times)).toBeGreaterThan(250);
    expect(Math.max(...times)).toBeLessThan(850);
    await echo.closing.close();
    stuck.close();
  });
});
