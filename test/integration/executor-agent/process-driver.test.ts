import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { uptime } from "node:os";
import { join } from "node:path";
import { MiB, runKey } from "@berth/core";
import type { TaskToRun } from "@berth/plugins";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Host, bob, isRoot, isStopped, isThere, pidsOf, statesOf, until } from "./process-host.ts";

describe("process driver", () => {
  let host: Host;
  beforeEach(async () => {
    host = new Host();
    await host.open();
  });
  afterEach(async () => {
    for (const { run } of host.events) await host.driver.killTask(run, "KILL");
    await host.close();
    await host.killKeepers();
    rmSync(host.dir, { recursive: true, force: true });
  });

  it.runIf(isRoot)("runs a task as its user, with its groups, in its directory, and nothing as root", async () => {
    const task = await host.run(
      "id -u; id -g; id -G; pwd; umask; cat; trap '' PIPE; (yes; echo pipe $? >&2) | head -1 >/dev/null; ls -la /proc/self/fd | wc -l",
    );
    await host.until(task, "ended");
    expect(host.output(task).split("\n").slice(0, 5)).toEqual([
      "20001",
      "20001",
      "20001 20100 20200",
      task.taskDir,
      "0022",
    ]);
    const root = await host.run("id", { identity: { user: "root", uid: 0, gid: 0, groups: [] } });
    expect(await host.until(root, "failed")).toMatchObject({ reason: { code: "ROOT_NOT_ALLOWED" } });
  });

  it.runIf(isRoot)(
    "keeps users apart: their files, and the keeper that holds both their sockets and records",
    async () => {
      const mine = await host.run("echo secret > s; sleep 30 & echo $PPID; wait");
      await host.printed(mine, "\n");
      const keeper = host.output(mine).trim();
      const folder = join(host.dir, "data", "keepers");
      // Not even its own user's task reaches what the keeper holds.
      const own = await host.run(
        `cat ${folder}/*/runs.a; ls /proc/${keeper}/fd; cat /proc/${keeper}/environ; ls ${folder}`,
      );
      await host.until(own, "ended");
      expect(host.output(own)).toBe("");
      const other = await host.run(`cat ${mine.taskDir}/s; kill -9 ${keeper}`, { identity: bob });
      expect(await host.until(other, "ended")).toMatchObject({ exitCode: 1 });
      expect(host.output(other)).toBe("");
      expect(host.keepers).toHaveLength(2);
    },
  );

  it.runIf(!isRoot)("runs as nobody but itself", async () => {
    const task = await host.run("id", { identity: bob });
    expect(await host.until(task, "unable")).toMatchObject({ reason: { code: "IDENTITY_NOT_POSSIBLE" } });
  });

  it("ends what a task left running, in its group or out of it", async () => {
    const task = await host.run("sleep 1000 & echo $!; setsid sh -c 'sleep 1001 & echo $!; echo $$; wait' & sleep 0.3");
    await host.until(task, "ended");
    const pids = host.output(task).trim().split("\n").map(Number);
    expect(pids).toHaveLength(3);
    await until(() => pids.every((pid) => !isThere(pid)));
  });

  it("ends all of a run by KILL, what left its group too", async () => {
    const task = await host.run("trap '' TERM; setsid sh -c 'echo $$; sleep 1001' & echo $$; wait; wait");
    await until(() => existsSync(task.stdoutPath) && host.output(task).trim().split("\n").length === 2);
    await host.driver.killTask(task.run, "KILL");
    await host.until(task, "ended");
    const pids = host.output(task).trim().split("\n").map(Number);
    await until(() => pids.every((pid) => !isThere(pid)));
  });

  it("ends a run that is above its memory, and says why; measures what others took", async () => {
    const command = "a=$(head -c 30000000 /dev/zero | tr '\\0' x); sleep 30; echo ${#a}";
    const over = await host.run(command, { resources: { cpuMilli: 100, memoryBytes: 16 * MiB } });
    expect(await host.until(over, "ended")).toMatchObject({ outOfMemory: true, signal: 9 });
    const within = await host.run("a=$(head -c 30000000 /dev/zero | tr '\\0' x); sleep 1.2; echo ${#a}");
    const ended = await host.until(within, "ended");
    expect(ended).toMatchObject({ outOfMemory: false, exitCode: 0 });
    expect(ended.usage.peakMemoryBytes).toBeGreaterThan(28 * MiB);
    expect(ended.usage.cpuMs).toBeGreaterThan(0);
  });

  it("tells a missing command, a missing directory, a missing right, each by its reason", async () => {
    const script = (text: string): string[] => {
      const path = join(host.dir, `script-${text.length}`);
      writeFileSync(path, text, { mode: 0o755 });
      return [path];
    };
    const closed = join(host.dir, "closed");
    mkdirSync(closed, { mode: isRoot ? 0o700 : 0 });
    const cases: [Partial<TaskToRun>, string, string?][] = [
      [{ command: ["nowhere"] }, "COMMAND_NOT_FOUND"],
      [{ command: ["/nowhere/at/all"] }, "COMMAND_NOT_FOUND"],
      [{ command: ["/etc/passwd"] }, "PERMISSION"],
      [{ workdir: "/nowhere/x" }, "WORKDIR_NOT_FOUND", "/nowhere/x: there is no such directory on this host"],
      [{ workdir: "/etc/passwd" }, "WORKDIR_NOT_FOUND", "/etc/passwd is not a directory"],
      [{ workdir: join(closed, "a/b") }, "WORKDIR_FORBIDDEN", `may not enter ${closed} on this host`],
      [{ command: ["/bin/echo", "x".repeat(3_000_000)] }, "ARGUMENTS_TOO_LONG", "argument 1"],
      [{ env: { LONG: "x".repeat(131_070) } }, "ARGUMENTS_TOO_LONG", "the variable LONG"],
      [
        { command: script("#!/usr/bin/no-such-shell -e\n"), controlDir: host.dir },
        "INTERPRETER_NOT_FOUND",
        'the script names the interpreter "/usr/bin/no-such-shell"',
      ],
      [{ command: script("#!/bin/sh\r\n") }, "INTERPRETER_NOT_FOUND", '"/bin/sh\\r"'],
    ];
    for (const [more, code, part = ""] of cases) {
      const task = await host.run("true", more);
      expect(await host.until(task, "failed")).toMatchObject({
        reason: { code, message: expect.stringContaining(part) },
      });
    }
  });

  it("lets tasks run on when their keeper is killed, and says that nobody saw their end once they are gone", async () => {
    const task = await host.run("echo up; sleep 2; echo down; exit 3");
    await host.printed(task, "up");
    await host.killKeepers();
    const next = await host.run("exit 5");
    expect(await host.until(next, "ended")).toMatchObject({ exitCode: 5 });
    expect(host.output(task)).toBe("up\n");
    const lost = await host.until(task, "lost");
    expect(lost).toMatchObject({ reason: { code: "KEEPER_LOST" }, stdoutBytes: 8 });
    expect(host.output(task)).toBe("up\ndown\n");
    expect(lost.at.getTime() - lost.startedAt!.getTime()).toBeGreaterThanOrEqual(2000);
  });

  it("still ends a run whose keeper was killed", async () => {
    const task = await host.run("echo up; sleep 1000");
    await host.printed(task, "up");
    await host.killKeepers();
    await until(() => host.events.some(({ kind }) => kind === "found"));
    await host.driver.killTask(task.run, "TERM");
    await host.until(task, "lost");
  });

  it("knows after agent and keeper were killed what had ended, what runs and what never began", async () => {
    const ended = await host.run("exit 6");
    await host.until(ended, "ended");
    const running = await host.run("echo up; sleep 2");
    await host.printed(running, "up");
    await host.close();
    await host.killKeepers();
    const found = await host.open();
    expect(found.map(({ kind, run }) => `${kind} ${run.taskId}`).toSorted()).toEqual(
      [`found ${ended.run.taskId}`, `found ${running.run.taskId}`].toSorted(),
    );
    expect(await host.until(ended, "ended")).toMatchObject({ exitCode: 6 });
    await host.driver.runTasks([ended, running]);
    expect(await host.until(running, "lost")).toMatchObject({ reason: { code: "KEEPER_LOST" } });
    expect(host.output(running)).toBe("up\n");
    await host.driver.settle([ended.run, running.run]);
    await until(() => readdirSync(join(host.dir, "data", "lost-keepers")).length === 0);
  });

  it("hears what an agent said last before it tells the next one what it keeps", async () => {
    const task = await host.run("exit 4");
    await host.until(task, "ended");
    const [keeper = 0] = host.keepers;
    process.kill(keeper, "SIGSTOP");
    const before = host.driver;
    // Its connection comes to the keeper first.
    const next = host.open();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await before.settle([task.run]);
    await before.close();
    process.kill(keeper, "SIGCONT");
    expect(await next).toEqual([]);
  });

  it("starts each run once though the keeper is killed while it starts them", async () => {
    const tasks = Array.from({ length: 60 }, () => host.task("echo once; exit 2"));
    await host.driver.runTasks(tasks.slice(0, 20));
    await host.until(tasks[0]!, "started");
    await host.driver.runTasks(tasks.slice(20));
    await host.killKeepers();
    for (const task of tasks) {
      const end = await host.until(task, "ended", "lost");
      if (end.kind === "ended") expect(end.exitCode).toBe(2);
      expect(existsSync(task.stdoutPath) ? host.output(task) : "").toMatch(
        end.kind === "ended" ? /^once\n$/ : /^(once\n)?$/,
      );
    }
  });

  it("gives back what waits in a lane whose keeper is killed: what it waits behind still has its place", async () => {
    const first = await host.run("echo up; sleep 60");
    const lane = runKey(first.run);
    const behind = [await host.run("echo once; exit 5", { lane }), await host.run("echo once; exit 5", { lane })];
    await host.printed(first, "up");
    expect(behind.map((task) => existsSync(task.stdoutPath))).toEqual([false, false]);
    // So much that its record is written anew, with what is left.
    const far = `/${"far/".repeat(50_000)}`;
    for (let n = 0; n < 12; n += 1) {
      const task = await host.run("true", { stdoutPath: far, stderrPath: far });
      await host.until(task, "unable");
      await host.driver.settle([task.run]);
    }
    await host.until(await host.run("true"), "ended");
    await host.killKeepers();
    for (const task of behind) {
      expect(await host.until(task, "unable", "ended", "lost")).toMatchObject({
        kind: "unable",
        reason: { code: "KEEPER_GONE" },
      });
    }
    await host.until(await host.run("true"), "ended"); // the next keeper starts what is new
    expect(behind.map((task) => existsSync(task.stdoutPath))).toEqual([false, false]);
  });

  it.runIf(isRoot)("says that a full disk is its host's fault, and starts again once there is room", async () => {
    const disk = join(host.dir, "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "nr_inodes=20,mode=0777", "tmpfs", disk]);
    try {
      const on = (name: string): Partial<TaskToRun> => ({
        taskDir: join(disk, name, "work"),
        stdoutPath: join(disk, name, "out"),
        stderrPath: join(disk, name, "err"),
      });
      const fill = (): void => {
        for (let n = 0; ; n += 1) mkdirSync(join(disk, `full-${n}`));
      };
      expect(fill).toThrow(/ENOSPC/);
      expect(await host.until(await host.run("true", on("a")), "unable")).toMatchObject({
        reason: { code: "TASK_DIR_FAILED", message: expect.stringContaining("ENOSPC") },
      });
      for (let n = 0; n < 8; n += 1) rmSync(join(disk, `full-${n}`), { recursive: true });
      expect(await host.until(await host.run("true", on("b")), "ended")).toMatchObject({ exitCode: 0 });
    } finally {
      execFileSync("umount", ["-l", disk]);
    }
  });

  it("tells how a run ended just before a boot, and takes what ran then for gone", async () => {
    const ended = await host.run("echo over; exit 6");
    await host.until(ended, "ended");
    const task = await host.run("echo up; sleep 1000");
    await host.printed(task, "up");
    await host.close();
    await host.killKeepers(); // a boot would have ended all of them
    for (const pid of pidsOf(task.run)) process.kill(pid, "SIGKILL");
    const rebooted = new Host("boot-two");
    rmSync(rebooted.dir, { recursive: true });
    Object.assign(rebooted, { dir: host.dir });
    expect((await rebooted.open()).map(({ kind, run }) => `${kind} ${run.taskId}`)).toEqual([
      `found ${ended.run.taskId}`,
    ]);
    expect(await rebooted.until(ended, "ended")).toMatchObject({ exitCode: 6, stdoutBytes: 5 });
    await rebooted.driver.settle([ended.run]);
    expect(readdirSync(join(host.dir, "data", "lost-keepers"))).toEqual([]);
    await rebooted.close();
    await host.open();
  });

  it("ends a run as it was, whatever its user put in the place of its output files", async () => {
    const task = await host.run("rm ../out; ln -s out ../out; exit 3");
    expect(await host.until(task, "ended")).toMatchObject({ exitCode: 3, stdoutBytes: 0 });
    const lost = await host.run("rm ../out; ln -s out ../out; sleep 1");
    await until(() => existsSync(lost.taskDir) && !existsSync(lost.stdoutPath));
    await host.killKeepers();
    expect(await host.until(lost, "lost")).toMatchObject({ stdoutBytes: 0 });
  });

  it("freezes a run at the end of its lease without the agent, and thaws it with a new lease", async () => {
    const inMs = (ms: number): number => uptime() * 1000 + ms;
    // One of its processes leaves the group.
    const loop = (word: string): string => `i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo ${word}; sleep 0.02; done`;
    const ticking = `setsid sh -c '${loop("away")}' & ${loop("tick")}`;
    const [held, free, suspended] = await Promise.all([
      host.run(ticking, { leaseUntilBootMs: inMs(4_000) }),
      host.run(ticking),
      host.run(ticking, { leaseUntilBootMs: inMs(4_000) }),
    ]);
    for (const task of [held, free, suspended]) await host.printed(task, "tick");
    await host.driver.suspendTask(suspended.run);
    await host.close();
    await until(() => isStopped(held.run));
    const [stood, went] = [host.output(held).length, host.output(free).length];
    await until(() => host.output(free).length > went + 10);
    expect(host.output(held)).toHaveLength(stood);

    const found = await host.open();
    const foundAs = new Map(found.map((event) => [event.run.taskId, event.kind === "found" && event.suspended]));
    expect([held, free, suspended].map(({ run }) => foundAs.get(run.taskId))).toEqual([true, false, true]);
    host.driver.extendLeases?.([held, suspended].map(({ run }) => ({ run, untilBootMs: inMs(60_000) })));
    await until(() => host.output(held).length > stood + 10);
    expect(isStopped(suspended.run)).toBe(true); // somebody asked for that

    // A lease that has passed freezes at once; what is told to end can.
    host.driver.extendLeases?.([{ run: held.run, untilBootMs: inMs(-1) }]);
    await until(() => isStopped(held.run));
    await host.driver.killTask(held.run, "TERM");
    expect(await host.until(held, "ended")).toMatchObject({ signal: 15 });
    host.driver.extendLeases?.([{ run: suspended.run, untilBootMs: undefined }]);
    await host.driver.resumeTask(suspended.run);
    await until(() => !isStopped(suspended.run));
    for (const task of [free, suspended]) {
      await host.driver.killTask(task.run, "KILL");
      await host.until(task, "ended");
    }
    await until(() => [held, free, suspended].every(({ run }) => statesOf(run).length === 0));
  });
});
