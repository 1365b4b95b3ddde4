import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hostPort, listenOn, parseAddress, removeStaleSocket } from "./address.ts";

describe("addresses", () => {
  let dir: string;
  beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), "berth-address-"))));
  afterEach(() => rmSync(dir, { recursive: true }));

  it("are host:port or a socket", () => {
    expect(parseAddress("127.0.0.1:80")).toEqual({ kind: "tcp", host: "127.0.0.1", port: 80 });
    expect(parseAddress("[::1]:0")).toEqual({ kind: "tcp", host: "::1", port: 0 });
    expect(hostPort("::1", 5)).toBe("[::1]:5");
    expect(parseAddress("unix:/run/a.sock")).toEqual({ kind: "unix", path: "/run/a.sock" });
    for (const bad of ["", "host", "host:", ":80", "host:99999", "http://a:1"]) {
      expect(() => parseAddress(bad), bad).toThrow(expect.objectContaining({ reason: "ADDRESS_INVALID" }));
    }
  });

  it("take over the socket of a process that was killed, and of no other", async () => {
    const path = join(dir, "s");
    const code = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", code]);
    expect(existsSync(path)).toBe(true);
    const server = createServer();
    expect(await listenOn(server, `unix:${path}`)).toBe(`unix:${path}`);
    await expect(listenOn(createServer(), `unix:${path}`)).rejects.toThrow("EADDRINUSE");
    await new Promise((resolve) => server.close(resolve));
    writeFileSync(path, "not a socket");
    await removeStaleSocket(path);
    expect(existsSync(path)).toBe(true);
  });
});
