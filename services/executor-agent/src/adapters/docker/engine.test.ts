import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findEngine, parseHost } from "./engine.ts";

describe("findEngine", () => {
  let home: string;
  const servers: Server[] = [];

  /** Something that answers as an engine does. */
  async function serve(path: string, options: readonly string[] = []): Promise<void> {
    mkdirSync(join(path, ".."), { recursive: true });
    const server = createServer((request, response) => {
      const facts = { ServerVersion: path, SecurityOptions: options, NCPU: 1, MemTotal: 1 };
      response
        .setHeader("content-type", "application/json")
        .end(request.url?.startsWith("/info") ? JSON.stringify(facts) : "OK");
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
  }

  function context(name: string, host: string): void {
    const folder = join(home, ".docker/contexts/meta", createHash("sha256").update(name).digest("hex"));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "meta.json"), JSON.stringify({ Name: name, Endpoints: { docker: { Host: host } } }));
  }

  beforeEach(() => void (home = mkdtempSync(join(tmpdir(), "berth-home-"))));
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
    rmSync(home, { recursive: true, force: true });
  });

  it("takes DOCKER_HOST before all, and only that", async () => {
    await serve(join(home, "run/docker.sock"));
    await serve(join(home, "named.sock"));
    const env = { XDG_RUNTIME_DIR: join(home, "run") };
    expect(await findEngine({ ...env, DOCKER_HOST: `unix://${join(home, "named.sock")}` }, home)).toMatchObject({
      version: join(home, "named.sock"),
      foundBy: "DOCKER_HOST",
    });
    expect(await findEngine({ ...env, DOCKER_HOST: "unix:///no/such.sock" }, home)).toBeUndefined();
    expect(await findEngine({ ...env, DOCKER_HOST: "ssh://host" }, home)).toBeUndefined();
  });

  it("takes the current context, or the one that is asked for", async () => {
    for (const name of ["one", "two"]) {
      await serve(join(home, `${name}.sock`));
      context(name, `unix://${join(home, `${name}.sock`)}`);
    }
    writeFileSync(join(home, ".docker/config.json"), JSON.stringify({ currentContext: "one" }));
    expect(await findEngine({}, home)).toMatchObject({ socketPath: join(home, "one.sock") });
    expect(await findEngine({ DOCKER_CONTEXT: "two" }, home)).toMatchObject({
      socketPath: join(home, "two.sock"),
      foundBy: "docker context two",
    });
    expect(await findEngine({ DOCKER_CONTEXT: "none" }, home)).toBeUndefined();
  });

  it("looks at the user's sockets, and says what is rootless", async () => {
    await serve(join(home, ".docker/run/docker.sock"), ["name=seccomp,profile=default", "name=rootless"]);
    expect(await findEngine({}, home)).toMatchObject({
      socketPath: join(home, ".docker/run/docker.sock"),
      rootless: true,
    });
    await serve(join(home, "run/docker.sock"), ["name=seccomp,profile=default"]);
    expect(await findEngine({ XDG_RUNTIME_DIR: join(home, "run") }, home)).toMatchObject({
      socketPath: join(home, "run/docker.sock"),
      rootless: false,
    });
  });
});

describe("parseHost", () => {
  it("knows the forms that are spoken here", () => {
    expect(parseHost("unix:///run/x.sock")).toEqual({ socketPath: "/run/x.sock" });
    expect(parseHost("tcp://127.0.0.1:2375")).toEqual({ host: "127.0.0.1", port: 2375, tls: undefined });
    expect(parseHost("tcp://[::1]:9/")).toMatchObject({ host: "::1", port: 9 });
    expect(parseHost("npipe:////./pipe/x")).toBeUndefined();
  });
});
