import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { afterAll, describe, expect, it } from "vitest";
import { safeSource } from "./mount-check.ts";

const dir = mkdtempSync(join(tmpdir(), "berth-mounts-"));
const uid = process.getuid!();
const make = (name: string, mode = 0o755): string => {
  mkdirSync(join(dir, name), { recursive: true });
  chmodSync(join(dir, name), mode);
  return join(dir, name);
};
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("safeSource", () => {
  it("takes what only root and the agent's user could exchange, below a sticky directory too", async () => {
    const source = make("good/inner", 0o777);
    expect(await safeSource(source, uid)).toBe(source);
    expect(await safeSource(`${source}/./`, uid)).toBe(source);
  });

  it("refuses below a directory that others may write", async () => {
    make("open/inner");
    make("open", 0o777);
    await expect(safeSource(join(dir, "open/inner"), uid)).rejects.toMatchObject({ reason: "VOLUME_UNSAFE" });
    make("group/inner");
    make("group", 0o775);
    await expect(safeSource(join(dir, "group/inner"), uid)).rejects.toMatchObject({ reason: "VOLUME_UNSAFE" });
  });

  it.runIf(uid === 0)("refuses below a directory of somebody else", async () => {
    make("other/inner");
    chownSync(join(dir, "other"), 20_000, 20_000);
    await expect(safeSource(join(dir, "other/inner"), uid)).rejects.toMatchObject({ reason: "VOLUME_UNSAFE" });
  });

  it("resolves links, and judges where they lead", async () => {
    const target = make("real/inner");
    symlinkSync(target, join(dir, "good-link"));
    symlinkSync("open/inner", join(dir, "bad-link"));
    symlinkSync("loop", join(dir, "loop"));
    expect(await safeSource(join(dir, "good-link"), uid)).toBe(target);
    await expect(safeSource(join(dir, "bad-link"), uid)).rejects.toMatchObject({ reason: "VOLUME_UNSAFE" });
    await expect(safeSource(join(dir, "loop"), uid)).rejects.toMatchObject({ reason: "VOLUME_UNSAFE" });
  });

  it("refuses what is relative or goes up, and says what is missing", async () => {
    await expect(safeSource("good", uid)).rejects.toMatchObject({ reason: "VOLUME_UNSAFE" });
    await expect(safeSource(`${dir}/good/../open`, uid)).rejects.toMatchObject({ reason: "VOLUME_UNSAFE" });
    await expect(safeSource(join(dir, "none"), uid)).rejects.toMatchObject({ reason: "VOLUME_MISSING" });
  });
});
