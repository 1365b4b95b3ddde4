import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { Outcome, TaskState } from "@berth/contracts/types";
import { apiOf, readLog, startCluster, submit, until, whenOver } from "@berth/test-support";
import { describe, expect, it } from "vitest";

/** Only root can mount; elsewhere there is no file system to use up. */
describe.skipIf(process.getuid?.() !== 0)("a host whose file system for tasks' files has no inodes left", () => {
  it("starts nothing, says so, and runs all of it once there are some", async () => {
    await using cluster = await startCluster({ driver: "process" });
    const api = apiOf(cluster);
    const files = join(cluster.data, "files");
    const { uid, gid } = statSync(files);
    const options = `size=64m,nr_inodes=400,mode=0711,uid=${uid},gid=${gid}`;
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", files]);
    try {
      // Room for some, so that one is cut off in the middle of being made.
      const first = await submit(api, { command: ["true"] });
      expect((await whenOver(api, first)).outcome).toBe(Outcome.SUCCEEDED);
      let filled = 0;
      for (; statfsSync(files).ffree > 2; filled++) closeSync(openSync(join(files, `filler-${filled}`), "w"));
      const script = '#!/bin/sh\necho "ran $BERTH_ARRAY_INDEX"\n';
      const id = await submit(api, { script, array: { first: 1, last: 6, step: 1, maxLive: 0 } });
      const single = await submit(api, { script: "#!/bin/sh\necho single\n" });
      const attempts = async () => (await api.tasks.getTask({ taskId: single })).task!;
      const logOfAgent = () => readFileSync(join(cluster.layout.logs, "agent.log"), "utf8");
      await until(() => logOfAgent().includes("TASK_DIR_FAILED"), "the host to refuse one", 30_000);
      expect([TaskState.PENDING, TaskState.PLACED]).toContain((await attempts()).state);
      expect(logOfAgent()).toContain("ENOSPC");
      for (let n = 0; n < filled; n++) rmSync(join(files, `filler-${n}`));
      const over = await whenOver(api, id, 90_000);
      expect(over.outcome, JSON.stringify(over.reason)).toBe(Outcome.SUCCEEDED);
      expect((await whenOver(api, single, 90_000)).outcome).toBe(Outcome.SUCCEEDED);
      expect(await readLog(api, single)).toBe("single\n");
      for (const n of [1, 2, 3, 4, 5, 6]) expect(await readLog(api, `${id}.${n}`)).toBe(`ran ${n}\n`);
    } finally {
      execFileSync("umount", ["-l", files]);
      api.close();
    }
  }, 200_000);
});
