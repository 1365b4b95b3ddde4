import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@berth/core";
import { afterAll, describe, expect, it } from "vitest";
import type { Driver } from "./driver.ts";
import { loadDriver } from "./load-driver.ts";
import type { DriverContext } from "./load-driver.ts";

const dir = mkdtempSync(join(tmpdir(), "berth-driver-plugin-"));
afterAll(() => rmSync(dir, { recursive: true }));
const context: DriverContext = {
  config: { queue: "night" },
  logger: { info: () => {}, warn: () => {} },
  clusterId: "c",
  hostId: "h",
  bootId: "b",
  dataDir: dir,
  capacity: { cpuMilli: undefined, memoryBytes: undefined },
  logSink: () => Promise.reject(new AppError("invalid", "CONFIG_INVALID", "no output here")),
};
const sim = { getName: () => "sim" } as Driver;
const load = (name: string) => loadDriver(name, { sim: () => sim }, context);

let written = 0;
/** A module of that text, as a file. */
function module(text: string): string {
  const path = join(dir, `${(written += 1)}.mjs`);
  writeFileSync(path, text);
  return path;
}
/** A module whose driver has all functions, and these members. */
const complete = (members: string): string =>
  module(`export const driver = (context) => ({
    features() {}, open() {}, close() {}, capacity() {}, runTasks() {}, runAllTasks() {}, watchTasks() {}, killTask() {}, takeBack() {},
    suspendTask() {}, resumeTask() {}, getMappingPort() {}, usage() {}, settle() {}, getName: () => "site", ${members}
  });`);

describe("loadDriver", () => {
  it("has the built-in ones by name", async () => {
    expect(await load("sim")).toBe(sim);
  });

  it("imports a site's own, with its settings", async () => {
    const driver = await load(complete("getName: () => context.config.queue"));
    expect(driver.getName()).toBe("night");
  });

  it("refuses one that is not there, and names the ones that are", async () => {
    for (const name of ["no-such-package", join(dir, "absent.mjs"), "constructor"])
      await expect(load(name)).rejects.toMatchObject({
        code: "invalid",
        reason: "DRIVER_NOT_FOUND",
        message: expect.stringMatching(/^driver .*: not one of sim, and not a module/) as string,
      });
  });

  it("refuses one that is broken, and says what is wrong with it", async () => {
    const broken: [path: string, says: string | RegExp][] = [
      [module("export const driver = ("), "the module cannot be imported: "],
      [module("throw new Error('no licence');"), "the module cannot be imported: no licence"],
      [module("export const other = 1;"), "does not export a function driver"],
      [module("export const driver = () => { throw new Error('no queue'); };"), "driver() failed: no queue"],
      [module("export const driver = () => undefined;"), "has no function getName"],
      [complete("settle: undefined"), "has no function settle"],
      [complete("getName: () => 'My Driver'"), "getName() must return"],
      [complete("getName: () => 'sim'"), "the name of a built-in driver"],
      [complete("outputBy: 'engine'"), "outputBy must be one of task, driver, none"],
    ];
    for (const [path, says] of broken)
      await expect(load(path)).rejects.toMatchObject({
        code: "invalid",
        reason: "DRIVER_INVALID",
        message: expect.stringContaining(String(says)) as string,
        metadata: { plugin: path },
      });
  });

  it("lets an error in the driver's own words through", async () => {
    const path = module("export const driver = async ({ logSink }) => ({ sink: await logSink() });");
    await expect(load(path)).rejects.toMatchObject({ reason: "CONFIG_INVALID", message: "no output here" });
  });
});
