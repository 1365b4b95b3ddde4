import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { Echo } from "@berth/test-support";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

describe("connections of one address", () => {
  let echo: Echo;
  const sockets: Socket[] = [];
  beforeEach(() => void (echo = new Echo()));
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await echo[Symbol.asyncDispose]();
  });

  /** "kept" once the server spoke HTTP/2 on it, "closed" where it closed it instead. */
  async function open(address: string, from = "127.0.0.1"): Promise<{ socket: Socket; is: string }> {
    const socket = connect({ host: "127.0.0.1", port: Number(address.split(":")[1]), localAddress: from });
    sockets.push(socket);
    socket.on("error", () => {});
    const is = await Promise.race([
      once(socket, "data").then(() => "kept"),
      new Promise<string>((resolve) => socket.once("close", () => resolve("closed"))),
    ]);
    return { socket, is };
  }

  it("are closed beyond the limit, and taken again when one has gone; other addresses do not count", async () => {
    const { address } = await echo.serve({ limits: { boundsCallers: true, connectionsPerAddress: 3 } });
    const first = await open(address);
    const all = [first, await open(address), await open(address)];
    expect(all.map(({ is }) => is)).toEqual(["kept", "kept", "kept"]);
    expect((await open(address)).is).toBe("closed");
    expect((await open(address)).is).toBe("closed");
    expect((await open(address, "127.0.0.2")).is).toBe("kept");
    expect(
      await echo
        .client(address)
        .say({ text: "x" }, { deadlineMs: 300 })
        .catch((error) => error),
    ).toMatchObject({
      code: "unavailable",
    });
    first.socket.destroy();
    expect(await takenAgain(() => open(address))).toBe("kept");
    expect(all[1]!.socket.destroyed).toBe(false);
  });

  it("are not limited where services call each other", async () => {
    const { address } = await echo.serve();
    const all = await Promise.all(Array.from({ length: 30 }, () => open(address)));
    expect(new Set(all.map(({ is }) => is))).toEqual(new Set(["kept"]));
  });
});

/** The server learns a little later that a connection has gone. */
async function takenAgain(open: () => Promise<{ is: string }>): Promise<string> {
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await open()).is === "kept") return "kept";
  }
  return "closed";
}
