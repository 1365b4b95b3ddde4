import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ldapOptions, ldapPeople, repositoryRoot, startCore, startLdap } from "@berth/test-support";
import { expect, it } from "vitest";

const asRoot = process.getuid?.() === 0;

/** `berth` of somebody with a home of their own. */
async function berth(home: string, args: readonly string[], input = ""): Promise<{ code: number; text: string }> {
  const child = spawn(join(repositoryRoot, "berth"), args, {
    env: {
      PATH: process.env["PATH"],
      HOME: home,
      XDG_CONFIG_HOME: join(home, ".config"),
      BERTH_DATA: join(home, "none"),
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stdin.end(input);
  const [code] = (await once(child, "close")) as [number];
  return { code, text };
}

it("somebody of the site's directory logs in by mail address and runs a task as who they are there", async () => {
  const dir = mkdtempSync(join(tmpdir(), "berth-directory-"));
  const directory = await startLdap(ldapOptions(join(dir, "slapd")));
  writeFileSync(join(dir, "reader"), ldapPeople.reader.password, { mode: 0o600 });
  chmodSync(dir, 0o711);
  const config = {
    urls: [directory.ldapUrl],
    ca: directory.caFile,
    bindDn: ldapPeople.reader.dn,
    bindPasswordFile: join(dir, "reader"),
    people: { base: ldapPeople.people },
    groups: { base: ldapPeople.groups, admins: ["berth-admins"] },
  };
  try {
    await using core = await startCore({
      names: ["storage", "auth", "gateway", "scheduler", "watcher", "agent"],
      env: { BERTH_AUTH_PROVIDER: "ldap", BERTH_AUTH_PROVIDER_CONFIG: JSON.stringify(config) },
    });
    const address = core.addressOf("gateway");
    const home = (name: string): string => join(dir, name);
    const login = (who: string, user: string, password: string) =>
      berth(home(who), ["login", address, "--user", user, "--password-stdin"], `${password}\n`);

    const refused = await login("ada", "ada@lab.example", "ben-secret");
    expect(refused.text).toContain("do not belong together");
    expect(refused.code).not.toBe(0);
    expect(await login("ada", "ada@lab.example", "ada-secret")).toMatchObject({ code: 0 });
    if (asRoot) {
      const ran = await berth(home("ada"), [
        "run",
        "-q",
        "--cpu",
        "0.1",
        "--mem",
        "16M",
        "--",
        "sh",
        "-c",
        "id -u; id -G",
      ]);
      expect(ran).toEqual({ code: 0, text: "5001\n5000 6001\n" });
    }
    // Roles are the directory's: an admin's command is hers, and users are kept elsewhere.
    expect((await berth(home("ada"), ["user", "add", "carl"])).text).toMatch(/admin/);
    expect((await login("grace", "grace", "grace-secret")).code).toBe(0);
    expect((await berth(home("grace"), ["user", "add", "carl"])).text).toContain("are kept by ldap");
  } finally {
    await directory.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});
