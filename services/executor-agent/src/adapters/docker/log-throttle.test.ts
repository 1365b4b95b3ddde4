import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { EngineError } from "./engine-client.ts";
import type { EngineClient } from "./engine-client.ts";
import { LogThrottle } from "./log-throttle.ts";

const chunk = Buffer.alloc(32 * 1024);
const mib = 1024 * 1024;
/** What a stream reads ahead of whoever takes from it, and the chunk in hand. */
const slack = 5 * chunk.length;

/** A container that prints as fast as it may. */
function printing() {
  let printed = 0;
  const stream = new Readable({
    read() {
      printed += chunk.length;
      setImmediate(() => this.push(chunk));
    },
  });
  const client = { attach: async () => stream as IncomingMessage } as unknown as EngineClient;
  return { stream, client, printed: () => printed };
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("LogThrottle", () => {
  it("lets a container print a bound ahead of the log's reader, and half as fast as that reads", async () => {
    const { client, printed } = printing();
    let read = 0;
    const throttle = new LogThrottle(() => read);
    await throttle.start(client, "id");
    await expect.poll(() => printed() >= mib, { timeout: 2_000 }).toBe(true);
    await wait(100);
    expect(printed()).toBeLessThanOrEqual(mib + slack);
    read = 4 * mib;
    throttle.advanced();
    await expect.poll(() => printed() >= 3 * mib, { timeout: 2_000 }).toBe(true);
    await wait(100);
    expect(printed()).toBeLessThanOrEqual(3 * mib + slack);
    throttle.stop();
  });

  it("takes a chunk after a while in any case, and lets go of a reader that stands still", async () => {
    const { stream, client, printed } = printing();
    const throttle = new LogThrottle(() => 0);
    await throttle.start(client, "id");
    await expect.poll(() => printed() >= mib + slack + chunk.length, { timeout: 5_000 }).toBe(true);
    await expect.poll(() => stream.destroyed, { timeout: 5_000 }).toBe(true);
  });

  it("does nothing where the engine does not let it attach", async () => {
    const refused = { attach: () => Promise.reject(new EngineError(404, "no such container")) };
    const throttle = new LogThrottle(() => 0);
    await throttle.start(refused as unknown as EngineClient, "id");
    throttle.stop();
  });
});
