import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { coreUser, faultsOf, Recorder, startCore } from "@berth/test-support";
import { describe, expect, it } from "vitest";

const sizeMiB = 40;
/** What is given back must hold what the log of writes still has to bring into the database. */
const reserveMiB = 16;
const call = { patienceMs: 0, deadlineMs: 2_500 };

/** Only root can mount; elsewhere there is no small disk to fill. */
describe.skipIf(process.getuid?.() !== 0 && !process.env["CI"])("a full disk under storage", () => {
  it("refuses submits, loses nothing that it acknowledged, and goes on when there is space again", async () => {
    const disk = mkdtempSync(join(tmpdir(), "berth-disk-"));
    const files = mkdtempSync(join(tmpdir(), "berth-files-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMiB}m,mode=0711`, "tmpfs", disk]);
    const reserve = join(disk, "reserve");
    writeFileSync(reserve, Buffer.alloc(reserveMiB * 2 ** 20));
    try {
      await using core = await startCore({
        names: ["storage", "auth", "gateway"],
        storageDir: disk,
        env: { BERTH_FILES_DIR: files },
      });
      const { berth } = await coreUser(core);
      const recorder = new Recorder(berth);
      const spec = { script: `#!/bin/sh\n# ${"x".repeat(60_000)}\n` };
      const refused: string[] = [];
      let next = 0;
      for (; refused.length < 3 && next < 2_000; next++) {
        const before = recorder.told.length;
        if (!(await recorder.submit([{ requestId: `r${next}`, spec }], call))) refused.push(`r${next}`);
        else if (recorder.told.slice(before).some((one) => one.kind === "submit" && one.refusal !== undefined))
          throw new Error(`refused for another reason: ${JSON.stringify(recorder.told.at(-1))}`);
      }
      expect(refused).toHaveLength(3);
      const acknowledged = recorder.taskIds;
      expect(acknowledged.length).toBeGreaterThan(50);
      const { bavail, bsize } = statfsSync(disk);
      process.stderr.write(`${acknowledged.length} acknowledged, then full with ${bavail * bsize} bytes left\n`);

      // It lives, reads, and says what is there.
      expect(core.isAlive("storage")).toBe(true);
      expect((await recorder.list()).map(({ id }) => id).toSorted()).toEqual(acknowledged.toSorted());

      rmSync(reserve);
      for (const requestId of refused) expect(await recorder.submit([{ requestId, spec }])).toBe(true);
      expect(recorder.taskIds).toHaveLength(acknowledged.length + refused.length);

      // Also after a crash, of what the disk holds.
      await core.kill("storage");
      await core.start("storage");
      expect(faultsOf(await recorder.history({ mayHaveUntold: false }))).toEqual([]);
      berth.close();
    } finally {
      execFileSync("umount", ["-l", disk]);
      rmSync(disk, { recursive: true });
      rmSync(files, { recursive: true });
    }
  });
});
