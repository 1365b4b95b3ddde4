import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Outcome, TaskState } from "@berth/contracts/types";
import { apiOf, readLog, startCluster, submit, until, whenOver } from "@berth/test-support";
import { describe, expect, it } from "vitest";

/** Only root can mount; elsewhere there is no small disk to fill. */
describe.skipIf(process.getuid?.() !== 0)("a host whose disk has no room for a script", () => {
  it("starts nothing of it, says so, and runs it whole once there is room", async () => {
    await using cluster = await startCluster({ driver: "process" });
    const api = apiOf(cluster);
    const control = join(cluster.data, "agent/control");
    mkdirSync(control, { recursive: true, mode: 0o711 });
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k,mode=0711", "tmpfs", control]);
    try {
      const filler = join(control, "filler");
      writeFileSync(filler, Buffer.alloc(160 * 1024));
      const id = await submit(api, {
        script: `#!/bin/sh\necho begun >> "$BERTH_TASK_DIR/begun"\n${"# filling\n".repeat(14_000)}echo whole\n`,
      });
      const attempts = async () => (await api.tasks.getTask({ taskId: id })).task!.attempt;
      await until(async () => (await attempts()) >= 2, "the host to refuse it");
      const { task } = await api.tasks.getTask({ taskId: id });
      expect([TaskState.PENDING, TaskState.PLACED]).toContain(task!.state);
      expect(readFileSync(join(cluster.layout.logs, "agent.log"), "utf8")).toContain("SCRIPT_NOT_WRITTEN");
      expect((await api.files.listFiles({ taskId: id, path: "" })).entries).toEqual([]);
      expect(
        readdirSync(control)
          .filter((name) => name !== "filler")
          .flatMap((name) => readdirSync(join(control, name))),
      ).toEqual([]);
      rmSync(filler);
      expect((await whenOver(api, id, 90_000)).outcome).toBe(Outcome.SUCCEEDED);
      expect(await readLog(api, id)).toBe("whole\n");
    } finally {
      execFileSync("umount", ["-l", control]);
      api.close();
    }
  }, 150_000);
});
