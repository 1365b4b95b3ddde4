import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { diskFileStore } from "./disk-file-store.ts";

const owner = { uid: 20_001, gid: 20_001 };
const full = { code: "unavailable", reason: "STORAGE_FULL" };

async function* of(...pieces: Buffer[]) {
  yield* pieces;
}

/** Only root can mount; elsewhere there is no small disk to fill. */
describe.runIf(process.getuid!() === 0)("diskFileStore on a full disk", () => {
  let disk: string;
  afterEach(() => {
    execFileSync("umount", ["-l", disk]);
    rmSync(disk, { recursive: true });
  });
  const mount = (options: string) => {
    disk = mkdtempSync(join(tmpdir(), "berth-full-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", disk]);
    return diskFileStore(disk);
  };
  const add = (files: ReturnType<typeof mount>, path: string, bytes = 10) =>
    files.addFile("17", { path, executable: false, owner }, of(Buffer.alloc(bytes)));

  it("says that there is no room, keeps the old file whole, and goes on when there is room again", async () => {
    const files = mount("size=256k");
    await add(files, "a", 100_000);
    await expect(add(files, "a", 200_000)).rejects.toMatchObject(full);
    expect((await files.list("17", "", owner)).entries).toMatchObject([{ name: "a", sizeBytes: 100_000 }]);
    expect(readdirSync(join(disk, "drafts"))).toEqual([]);
    expect(await add(files, "b", 100_000)).toBe(100_000);
  });

  it("says so as well where inodes are used up", async () => {
    const files = mount("size=4m,nr_inodes=20");
    await add(files, "a");
    for (let n = 0; n < 20; n++) {
      try {
        writeFileSync(join(disk, `f${n}`), "");
      } catch {
        break; // all are used
      }
    }
    await expect(add(files, "b")).rejects.toMatchObject(full);
    await expect(add(files, "d/b")).rejects.toMatchObject(full);
    const run = { epoch: "e", taskId: "17", attempt: 1 };
    await expect(files.appendLog(run, "stdout", owner, 0, Buffer.from("x"))).rejects.toMatchObject(full);
    rmSync(join(disk, "f0"));
    expect(await add(files, "b")).toBe(10);
  });
});
