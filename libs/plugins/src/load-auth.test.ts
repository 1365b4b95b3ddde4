import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { AuthPlugin } from "./auth.ts";
import { loadAuth } from "./load-auth.ts";

const dir = mkdtempSync(join(tmpdir(), "berth-auth-plugin-"));
afterAll(() => rmSync(dir, { recursive: true }));
const local = { getName: () => "local" } as AuthPlugin;
const context = {
  config: { realm: "lab" },
  logger: { info: () => {}, warn: () => {} },
  ownerOfKey: async (key: string) => (key === "berth_key" ? "ada" : undefined),
};
const load = (name: string) => loadAuth(name, { local: () => local }, context);
function module(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

describe("loadAuth", () => {
  it("has the built-in ones by name", async () => {
    expect(await load("local")).toBe(local);
  });

  it("imports a site's own, with its settings and Berth's keys", async () => {
    const path = module(
      "site.mjs",
      `export const authPlugin = ({ config, ownerOfKey }) => ({
        getName: () => config.realm, bindCredentials: async () => undefined, bindApi: async (key) => ({ name: await ownerOfKey(key) }),
        getUser: async () => undefined, getVolumes: async () => [], getQuotas: async () => ({}), canRun: async () => true,
      });`,
    );
    const plugin = await load(path);
    expect(plugin.getName()).toBe("lab");
    expect(await plugin.bindApi("berth_key")).toEqual({ name: "ada" });
  });

  it("says what is wrong with one that is not there or not one", async () => {
    await expect(load("constructor")).rejects.toMatchObject({ reason: "AUTH_PROVIDER_NOT_FOUND" });
    await expect(load("no-such-package")).rejects.toMatchObject({ code: "invalid", reason: "AUTH_PROVIDER_NOT_FOUND" });
    await expect(load(module("a.mjs", "export const other = 1;"))).rejects.toMatchObject({
      reason: "AUTH_PROVIDER_INVALID",
      message: expect.stringContaining("authPlugin") as string,
    });
    await expect(load(module("b.mjs", "export const authPlugin = () => ({ getName() {} });"))).rejects.toMatchObject({
      message: expect.stringContaining("bindCredentials") as string,
    });
  });
});
