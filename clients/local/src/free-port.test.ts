import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { freePort } from "./cluster-file.ts";

it("a free port is the one that is wanted, else one that no outgoing connection gets", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port: taken } = server.address() as AddressInfo;
  const others = await Promise.all([freePort(0), freePort(0), freePort(taken)]);
  for (const port of others) {
    expect(port).toBeGreaterThanOrEqual(20_000);
    expect(port).toBeLessThan(32_768);
  }
  server.close();
  await once(server, "close");
  expect(await freePort(taken)).toBe(taken);
});
