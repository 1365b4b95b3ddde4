import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runName } from "@berth/core";
import Docker from "dockerode";
import { sharedDockerEngine, whyNoDockerEngine } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DockerBench } from "./docker-bench.ts";

const why = whyNoDockerEngine();
if (why !== undefined && process.env["CI"]) throw new Error(`a Docker engine is needed: ${why}`);

describe.skipIf(why !== undefined && !process.env["CI"])(
  `docker driver${why === undefined ? "" : ` NOT RUN: ${why}`}`,
  () => {
    let shared: Awaited<ReturnType<typeof sharedDockerEngine>>;
    let bench: DockerBench;

    beforeAll(async () => {
      shared = await sharedDockerEngine();
      bench = new DockerBench(shared.socketPath);
      await bench.open();
    });
    afterAll(async () => {
      await bench?.dispose();
      await shared?.release();
    });

    it("runs a task as its user, with its groups and without any privilege", async () => {
      const run = await bench.run(
        "id; grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; touch mine; ls -ln mine | awk '{print $3,$4}'",
      );
      expect(await bench.end(run)).toMatchObject({ kind: "ended", exitCode: 0 });
      const text = bench.sink.text(run);
      expect(text).toMatch(/uid=20000 gid=20000 groups=(20001,20000|20000,20001)/);
      expect(text).toMatch(/CapEff:\s+0{16}/);
      expect(text).toMatch(/CapBnd:\s+0{16}/);
      expect(text).toMatch(/NoNewPrivs:\s+1/);
      expect(text).toContain("20000 20000");
    });

    it("gives a task its directory, its array's and its script, as paths inside", async () => {
      const arrayDir = join(bench.dir, "array");
      const controlDir = join(bench.dir, "control");
      for (const dir of [arrayDir, controlDir]) mkdirSync(dir);
      writeFileSync(join(arrayDir, "shared.txt"), "shared\n");
      const script = join(controlDir, "script");
      writeFileSync(
        script,
        "#!/bin/sh\npwd; env | sort; cat $BERTH_ARRAY_DIR/shared.txt; touch $BERTH_ARRAY_DIR/x /berth/control/x; echo done > result\n",
      );
      chmodSync(script, 0o555);
      const task = bench.task([script], { controlDir });
      await bench.driver.runTasks([
        { ...task, env: { ...task.env, BERTH_ARRAY_DIR: arrayDir, GODOCKER_PWD: task.taskDir, OTHER: task.taskDir } },
      ]);
      expect(await bench.end(task.run)).toMatchObject({ exitCode: 0 });
      const lines = bench.sink.text(task.run).split("\n");
      expect(lines[0]).toBe("/berth/task");
      expect(lines).toEqual(
        expect.arrayContaining([
          "BERTH_TASK_DIR=/berth/task",
          "BERTH_ARRAY_DIR=/berth/array",
          "HOME=/berth/task",
          "GODOCKER_PWD=/berth/task",
          `OTHER=${task.taskDir}`,
          "shared",
        ]),
      );
      expect(bench.sink.text(task.run, "stderr").match(/Read-only file system/g)).toHaveLength(2);
      expect(existsSync(join(task.taskDir, "result"))).toBe(true);
    });

    it("mounts volumes, read-only ones so, and refuses one that others could exchange", async () => {
      const safe = "/usr/share";
      const good = await bench.run("ls -d /data/. && touch /data/x", {
        mounts: [{ source: safe, target: "/data", readOnly: true }],
      });
      expect(await bench.end(good)).toMatchObject({ exitCode: 1 });
      expect(bench.sink.text(good, "stderr")).toContain("Read-only file system");
      const open = join(bench.dir, "open");
      mkdirSync(join(open, "inner"), { recursive: true });
      chmodSync(open, 0o777);
      const bad = await bench.run("true", {
        mounts: [{ source: join(open, "inner"), target: "/data", readOnly: false }],
      });
      expect(await bench.end(bad)).toMatchObject({ kind: "failed", reason: { code: "VOLUME_UNSAFE" } });
      const missing = await bench.run("true", {
        mounts: [{ source: "/usr/no/such", target: "/data", readOnly: false }],
      });
      expect(await bench.end(missing)).toMatchObject({ kind: "unable", reason: { code: "VOLUME_MISSING" } });
    });

    it("limits memory, and tells a task that exceeds it", async () => {
      const run = await bench.run("a=x; while :; do a=$a$a; done");
      expect(await bench.end(run)).toMatchObject({ kind: "ended", outOfMemory: true, signal: 9, exitCode: 137 });
    });

    it("tells of processes that the kernel killed for want of memory, though their shell went on", async () => {
      const eat = "sh -c 'a=x; while :; do a=$a$a; done'";
      const run = await bench.run(`${eat}; ${eat}; sleep 0.5; exit 0`);
      const ended = await bench.until(run, "ended");
      expect(ended).toMatchObject({ exitCode: 0, outOfMemory: false });
      expect(ended.usage.oomKills).toBe(2);
      const quick = await bench.until(await bench.run(`${eat}; exit 0`), "ended");
      expect(quick.usage.oomKills).toBe(1);
      const none = await bench.until(await bench.run("true"), "ended");
      expect(none.usage.oomKills).toBeUndefined();
    });

    it("measures a run shorter than any sample", async () => {
      const run = await bench.run("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done");
      const ended = await bench.until(run, "ended");
      expect(ended.usage.cpuMs).toBeGreaterThan(50);
      expect(ended.usage.peakMemoryBytes).toBeGreaterThan(500_000);
      expect(ended.usage.peakMemoryBytes).toBeLessThan(64 * 2 ** 20);
      expect(ended.at.getTime() - ended.startedAt!.getTime()).toBeGreaterThan(50);
    });

    it("keeps output byte for byte, without adding an end to the last line", async () => {
      const run = await bench.run([
        "/bin/sh",
        "-c",
        "printf 'a\\n\\nb\\0\\377c'; printf 'err' >&2; head -c 100000 /dev/zero | tr '\\0' x; printf end",
      ]);
      const ended = await bench.until(run, "ended");
      expect(ended).toMatchObject({ stdoutBytes: 7 + 100_000 + 3, stderrBytes: 3 });
      expect(bench.sink.text(run)).toBe(
        `${Buffer.from("a\n\nb\0\xffc", "latin1").toString()}${"x".repeat(100_000)}end`,
      );
      expect(bench.sink.text(run, "stderr")).toBe("err");
    });

    it("tells what could not be started by a fault of the task", async () => {
      const cases = [
        [await bench.run(["no-such"]), "COMMAND_NOT_FOUND"],
        [await bench.run(["/etc/passwd"]), "COMMAND_NOT_EXECUTABLE"],
        [await bench.run(["true"], { image: "No:such:Image" }), "IMAGE_INVALID"],
        [await bench.run(["true"], { image: "127.0.0.1:9/no/such:1" }), "IMAGE_PULL_FAILED"],
        [await bench.run(["true"], { workdir: "/etc/passwd" }), "WORKDIR_INVALID"],
      ] as const;
      for (const [run, code] of cases) {
        expect(await bench.end(run)).toMatchObject({ kind: "failed", reason: { code } });
      }
    });

    it("names the interpreter that a script wants and the image that lacks it, and no path of this host", async () => {
      const controlDir = join(bench.dir, "scripts");
      mkdirSync(controlDir);
      const script = join(controlDir, "script");
      for (const [first, message] of [
        [
          "#!/usr/bin/nopython -x",
          'the script\'s interpreter "/usr/bin/nopython" was not found in image berth-busybox:1',
        ],
        ["#!/bin/sh\r", /^the script's interpreter "\/bin\/sh\\r" was not found in image \S+; .* carriage return/],
      ] as const) {
        writeFileSync(script, `${first}\necho hi\n`);
        chmodSync(script, 0o555);
        const end = await bench.end(await bench.run([script], { controlDir }));
        expect(end).toMatchObject({ kind: "failed", reason: { code: "INTERPRETER_NOT_FOUND" } });
        if ("reason" in end) expect(end.reason.message).toMatch(message);
        expect(JSON.stringify(end)).not.toContain(bench.dir);
      }
    });

    it("tells a command or variable that is too long for the kernel from an exit code", async () => {
      const task = bench.task(["true"]);
      await bench.driver.runTasks([{ ...task, env: { X: "x".repeat(131_070) } }]);
      expect(await bench.end(task.run)).toMatchObject({ kind: "failed", reason: { code: "ARGUMENTS_TOO_LONG" } });
      const says = await bench.run("echo 'exec /bin/x: argument list too long' >&2; echo; exit 1");
      expect(await bench.end(says)).toMatchObject({ kind: "ended", exitCode: 1 });
    });

    it("lets a command end with 127 by itself", async () => {
      expect(await bench.end(await bench.run("exit 127"))).toMatchObject({ kind: "ended", exitCode: 127 });
      expect(await bench.end(await bench.run("nosuch"))).toMatchObject({ kind: "ended", exitCode: 127 });
    });

    it("refuses root, and a name that another container has", async () => {
      const root = await bench.run("true", { identity: { user: "root", uid: 0, gid: 0, groups: [] } });
      expect(await bench.end(root)).toMatchObject({ kind: "unable", reason: { code: "IDENTITY_NOT_POSSIBLE" } });
      const task = bench.task(["true"]);
      const docker = plainDocker(shared.socketPath);
      const other = await docker.createContainer({ name: runName(task.run), Image: "berth-busybox:1", Cmd: ["true"] });
      await bench.driver.runTasks([task]);
      expect(await bench.end(task.run)).toMatchObject({ kind: "unable", reason: { code: "NAME_TAKEN" } });
      await other.remove();
    });

    it("does not start what is stopped while it waits", async () => {
      const busy = await Promise.all(Array.from({ length: 4 }, () => bench.run("true")));
      const waiting = await bench.run("true");
      await bench.driver.killTask(waiting, "TERM");
      expect(await bench.end(waiting)).toMatchObject({ kind: "unable", reason: { code: "STOPPED_BEFORE_START" } });
      await Promise.all(busy.map((run) => bench.end(run)));
    });

    it("tells the end of a container that somebody removed: as lost, or by its code where that was seen", async () => {
      const run = await bench.run("sleep 600");
      await bench.until(run, "started");
      await plainDocker(shared.socketPath).getContainer(runName(run)).remove({ force: true });
      const end = await bench.end(run);
      if (end.kind === "lost") expect(end.reason.code).toBe("CONTAINER_REMOVED");
      else expect(end).toMatchObject({ kind: "ended", exitCode: 137 });
    });

    it("runs on without the image that somebody removed, and says of a new run that it cannot be had", async () => {
      const image = "berth-removed:1";
      const docker = plainDocker(shared.socketPath);
      await docker.getImage("berth-busybox:1").tag({ repo: "berth-removed", tag: "1" });
      const run = await bench.run("sleep 0.5; exit 3", { image });
      await bench.until(run, "started");
      await docker.getImage(image).remove({ force: true });
      const later = await bench.run("true", { image });
      expect(await bench.end(run)).toMatchObject({ kind: "ended", exitCode: 3 });
      expect(await bench.end(later)).toMatchObject({ kind: "failed", reason: { code: "IMAGE_PULL_FAILED" } });
    });

    it("takes over a container that was made, but not started, before its own end", async () => {
      const task = bench.task(["sh", "-c", "exit 6"]);
      const labels = {
        "berth.cluster": bench.clusterId,
        "berth.epoch": task.run.epoch,
        "berth.task": String(task.run.taskId),
        "berth.attempt": "1",
      };
      await plainDocker(shared.socketPath).createContainer({
        name: runName(task.run),
        Image: "berth-busybox:1",
        Cmd: [...task.command],
        Labels: labels,
        HostConfig: { NetworkMode: "none" },
      });
      await bench.close();
      await bench.open();
      expect(bench.of(task.run)).toEqual([]);
      await bench.driver.runTasks([task]);
      expect(await bench.end(task.run)).toMatchObject({ kind: "ended", exitCode: 6 });
    });

    it("tells after a reboot how a run had ended before, and as lost what the shutdown ended", async () => {
      const runs = await Promise.all([bench.run("exit 3"), bench.run("sleep 600"), bench.run("sleep 600")]);
      for (const run of runs) await bench.until(run, "started");
      await bench.close();
      const docker = plainDocker(shared.socketPath);
      await docker.getContainer(runName(runs[1]!)).stop({ t: 0 });
      bench.events.length = 0;
      bench.options = { bootedAt: new Date(Date.now() + 1000) };
      await bench.open();
      expect(await bench.end(runs[0]!)).toMatchObject({ kind: "ended", exitCode: 3 });
      expect(await bench.end(runs[1]!)).toMatchObject({ kind: "lost", reason: { code: "HOST_REBOOTED" } });
      expect(bench.of(runs[2]!).map(({ kind }) => kind)).toEqual(["found"]);
      bench.options = {};
    });

    it("leaves no container and no cgroup of a settled run", async () => {
      const run = await bench.run("true");
      await bench.end(run);
      await bench.driver.settle([run]);
      const left = await plainDocker(shared.socketPath).listContainers({ all: true });
      expect(left.flatMap(({ Names }) => Names)).not.toContain(`/${runName(run)}`);
      expect(cgroupsNamed(runName(run))).toEqual([]);
    });
  },
);

/** Other clusters' cgroups come and go while the tree is read. */
function cgroupsNamed(name: string): string[] {
  for (;;) {
    try {
      const all = readdirSync("/sys/fs/cgroup", { recursive: true, encoding: "utf8" });
      return all.filter((path) => path.endsWith(`/${name}`));
    } catch (error) {
      if (!(error instanceof Error) || !("code" in error) || error.code !== "ENOENT") throw error;
    }
  }
}

/** What these tests do beside the driver, as a person at the host would. */
interface PlainDocker {
  createContainer(options: object): Promise<{ remove(): Promise<unknown> }>;
  getImage(name: string): { tag(options: object): Promise<unknown>; remove(options: object): Promise<unknown> };
  getContainer(name: string): { remove(options: object): Promise<unknown>; stop(options: object): Promise<unknown> };
  listContainers(options: object): Promise<{ Names: string[] }[]>;
}
const plainDocker = (socketPath: string): PlainDocker => new Docker({ socketPath }) as unknown as PlainDocker;
