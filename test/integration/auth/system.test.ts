import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemProvider, thisMachine } from "@berth/auth";
import type { RunProgram } from "@berth/auth";
import { AuthServiceService } from "@berth/contracts/auth";
import { Closing, grpcChannel, grpcClient, internalAuthorization, silentLogger } from "@berth/runtime";
import { runWith, writeUsers } from "@berth/test-support";
import { afterAll, describe, expect, it } from "vitest";

const dir = mkdtempSync(join(tmpdir(), "berth-system-"));
afterAll(() => rmSync(dir, { recursive: true }));
writeUsers(dir);

const provider = (config: object, run: RunProgram = runWith(dir)) =>
  systemProvider({
    config: { ...config },
    machine: thisMachine(run),
    ownerOfKey: async () => undefined,
    siteVolumes: () => [],
    logger: silentLogger,
    now: () => performance.now(),
  });

describe("users of the machine", () => {
  it.runIf(process.getuid?.() === 0)("are those above the system's own, in the site's groups", async () => {
    const plugin = provider({ mayUse: ["genomics"] });
    expect(await plugin.bindCredentials("ada", "ada-secret")).toMatchObject({ uid: 5001, gid: 5000, groups: [6001] });
    expect(await plugin.bindCredentials("grace", "grace-secret")).toBeUndefined();
    for (const name of ["daemon", "root"]) {
      expect(await plugin.bindCredentials(name, `${name}-secret`)).toBeUndefined();
      expect(await plugin.getUser(name)).toBeUndefined();
    }
  });

  it("have names before any program hears them", async () => {
    const heard: string[] = [];
    const plugin = provider({}, async (program, args) => {
      heard.push([program, ...args].join(" "));
      return { code: 0, text: "x:x:5001:5000::/:/bin/sh" };
    });
    for (const name of ["-h", "--help", "a b", "a\nb", "../x", "5001", ""]) {
      expect(await plugin.bindCredentials(name, "x")).toBeUndefined();
      expect(await plugin.getUser(name)).toBeUndefined();
    }
    expect(heard).toEqual([]);
  });

  it("are away, not unknown, where the machine's programs fail", async () => {
    const plugin = provider({}, async () => ({ code: 1, text: "" }));
    await expect(plugin.getUser("ada")).rejects.toMatchObject({ code: "unavailable", reason: "USERS_AWAY" });
  });

  it("has settings that are checked", () => {
    expect(() => provider({ admins: ["a b"], minUid: 0, more: 1 })).toThrow(
      expect.objectContaining({ reason: "SYSTEM_SETTINGS", message: expect.stringMatching(/admins.*minUid.*more/s) }),
    );
  });
});

it("the auth service takes its users from the machine, and keys from itself", async () => {
  const closing = new Closing();
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../../services/auth/src/main.ts")], {
    env: {
      PATH: process.env["PATH"],
      BERTH_LISTEN: `unix:${dir}/auth.sock`,
      BERTH_DATA_DIR: join(dir, "data"),
      BERTH_CLUSTER_SECRET: "0123456789abcdef0123456789abcdef",
      BERTH_AUTH_PROVIDER: "system",
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  try {
    let said = "";
    for await (const chunk of child.stderr!) if ((said += String(chunk)).includes('"message":"ready"')) break;
    const auth = grpcClient(AuthServiceService, grpcChannel(`unix:${dir}/auth.sock`, { closing }), {
      service: "auth",
      authorization: internalAuthorization("0123456789abcdef0123456789abcdef"),
    });
    // Of this machine: a user who has no shell, and one who is not there.
    expect((await auth.getUser({ user: "nobody" })).user).toMatchObject({ disabled: true });
    await expect(auth.getUser({ user: "no-such-user" })).rejects.toMatchObject({ reason: "USER_NOT_FOUND" });
    await expect(auth.createUser({ user: undefined, password: "", first: undefined })).rejects.toMatchObject({
      reason: "USERS_ELSEWHERE",
    });
  } finally {
    await closing.close();
    child.kill("SIGKILL");
  }
});
