import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  chooseClusterHere,
  credentialsPath,
  findConnection,
  keepConnection,
  keptLogin,
  leaveClusterHere,
} from "./connection.ts";
import type { Caller } from "./connection.ts";

let dir: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-cli-"));
  env = { XDG_CONFIG_HOME: join(dir, "config"), BERTH_DATA: join(dir, "data") };
});
afterEach(() => rmSync(dir, { recursive: true }));

const caller = (more: NodeJS.ProcessEnv = {}, server?: string): Caller => ({ server, env: { ...env, ...more } });

const localCluster = () => {
  mkdirSync(join(dir, "data"));
  writeFileSync(join(dir, "data", "client.json"), '{"server":"127.0.0.1:1","user":"berth","key":"local"}');
};

describe("findConnection", () => {
  it("takes --server before the environment", () => {
    keepConnection({ server: "a:1", user: "anna", key: "kept" }, env);
    expect(findConnection(caller({ BERTH_SERVER: "b:2" }, "a:1"))).toMatchObject({
      server: "a:1",
      key: "kept",
      from: "--server",
    });
  });

  it("takes what login kept before the cluster of this machine, and the environment before both", () => {
    localCluster();
    expect(findConnection(caller())).toMatchObject({ server: "127.0.0.1:1", key: "local" });
    keepConnection({ server: "far:7433", user: "anna", key: "kept" }, env);
    expect(findConnection(caller())).toMatchObject({ server: "far:7433", key: "kept", user: "anna" });
    expect(findConnection(caller({ BERTH_KEY: "other" }))).toMatchObject({ server: "far:7433", key: "other" });
    expect(findConnection(caller({ BERTH_SERVER: "far:7433" }))).toMatchObject({ key: "kept" });
  });

  it("takes the later of login and up, and goes back to the login when the cluster here goes down", () => {
    localCluster();
    const here = join(dir, "data", "client.json");
    expect(chooseClusterHere(here, env)).toBeUndefined();
    keepConnection({ server: "far:7433", user: "anna", key: "kept" }, env);
    expect(chooseClusterHere(here, env)).toBe("far:7433");
    expect(chooseClusterHere(here, env)).toBeUndefined();
    expect(findConnection(caller())).toMatchObject({ server: "127.0.0.1:1", key: "local" });
    expect(keptLogin(env)).toMatchObject({ server: "far:7433", key: "kept" });
    expect(statSync(credentialsPath(env)).mode & 0o777).toBe(0o600);
    expect(leaveClusterHere(join(dir, "other", "client.json"), env)).toBeUndefined();
    expect(leaveClusterHere(here, env)).toBe("far:7433");
    expect(findConnection(caller())).toMatchObject({ server: "far:7433", key: "kept" });
    chooseClusterHere(here, env);
    keepConnection({ server: "far:7433", user: "anna", key: "new" }, env);
    expect(findConnection(caller())).toMatchObject({ server: "far:7433", key: "new" });
  });

  it("sends no key to a server that it is not for", () => {
    localCluster();
    expect(findConnection(caller({ BERTH_SERVER: "stranger:1" }))).toMatchObject({
      server: "stranger:1",
      key: undefined,
    });
  });

  it("takes one or some of several gateways for the same cluster, but none from elsewhere", () => {
    keepConnection({ server: "a:1, b:2", user: "anna", key: "kept" }, env);
    expect(findConnection(caller({ BERTH_SERVER: "b:2" }))).toMatchObject({ server: "b:2", key: "kept" });
    expect(findConnection(caller({ BERTH_SERVER: "b:2,a:1" }))).toMatchObject({ key: "kept" });
    expect(findConnection(caller({ BERTH_SERVER: "a:1,c:3" }))).toMatchObject({ key: undefined });
  });

  it("says so where there is none, and where a file is damaged", () => {
    expect(() => findConnection(caller())).toThrow(
      expect.objectContaining({ code: "unavailable", reason: "NO_SERVER" }),
    );
    mkdirSync(join(dir, "config", "berth"), { recursive: true });
    for (const [damaged, fault] of [
      ["{", "it is not JSON"],
      ["[]", "server: is missing"],
      ['{"server":7433}', "server: must be a string"],
      ['{"server":"a:1","kye":"k"}', "kye: unknown member"],
    ] as const) {
      writeFileSync(credentialsPath(env), damaged);
      expect(() => findConnection(caller())).toThrow(expect.objectContaining({ reason: "BAD_CREDENTIALS_FILE" }));
      expect(() => findConnection(caller())).toThrow(fault);
    }
  });
});

describe("keepConnection", () => {
  it("keeps a key for its owner only, whatever was there before", () => {
    const path = keepConnection({ server: "a:1", user: "anna", key: "one" }, env);
    chmodSync(path, 0o644);
    keepConnection({ server: "a:1", user: "anna", key: "two" }, env);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, "config", "berth")).mode & 0o777).toBe(0o700);
  });
});
