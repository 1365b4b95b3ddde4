import { execFileSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { uptime } from "node:os";
import { join } from "node:path";
import { MiB, runName } from "@berth/core";
import { version2Cgroups } from "@berth/executor-agent";
import koffi from "koffi";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Host, isRoot, isStopped, isThere, pidsOf, until } from "./process-host.ts";

const unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find(
  (dir) => existsSync(join(dir, "cgroup.procs")) && existsSync(join(dir, "cgroup.controllers")),
);

type Mode = "cgroups as found" | "cgroups of version 2" | "no cgroups";
const modes: readonly Mode[] = ["cgroups as found", "cgroups of version 2", "no cgroups"];
const [asFound] = modes as [Mode];

/** What tasks do to what keeps them, and to each other. */
describe.runIf(isRoot)("process driver, attacked", () => {
  let host: Host;
  let version2Base: string | undefined;

  async function open(mode: Mode): Promise<void> {
    host = new Host();
    if (mode === "no cgroups") host.cgroups = undefined;
    if (mode === "cgroups of version 2" && unified !== undefined) {
      version2Base = join(unified, `berth-attacks-${process.pid}`);
      mkdirSync(version2Base);
      host.cgroups = version2Cgroups(version2Base);
    }
    await host.open();
  }

  const hasCgroups = (): boolean => host.cgroups !== undefined;

  afterEach(async () => {
    for (const { run } of host.events) await host.driver.killTask(run, "KILL");
    await until(() => host.events.every(({ run }) => pidsOf(run).length === 0));
    await host.close();
    await host.killKeepers();
    host.cgroups?.keepOnly([]);
    if (version2Base !== undefined) {
      writeFileSync(join(version2Base, "cgroup.kill"), "1");
      await until(() => tryRemove(version2Base!));
    }
    version2Base = undefined;
    rmSync(host.dir, { recursive: true, force: true });
  });

  describe.each(modes)("with %s", (mode) => {
    beforeEach(() => open(mode));

    it("ends with a run all that it made, whatever that says of itself", async () => {
      const other = await host.run("echo up; sleep 1000");
      await host.printed(other, "up");
      const [mark] = [`BERTH_RUN=${runName(other.run)}`];
      const task = await host.run(
        `echo up; ${hasCgroups() ? `env ${mark} setsid sh -c 'echo $$; exec sleep 1001' & env -i setsid sh -c 'echo $$; exec sleep 1001' &` : ""} sleep 1002 & echo $!; sleep 0.3`,
      );
      await host.until(task, "ended");
      const pids = host.output(task).trim().split("\n").slice(1).map(Number);
      expect(pids).toHaveLength(hasCgroups() ? 3 : 1);
      await until(() => pids.every((pid) => !isThere(pid)));
      expect(pidsOf(other.run)).not.toEqual([]);
    });

    it("spares the daemon of a run when another run of its user ends", async () => {
      const task = await host.run("env -i setsid sh -c '(echo $$; exec sleep 1001) &'; sleep 1000");
      await host.printed(task, "\n");
      await until(() => readdirSync("/proc").some((pid) => isDaemon(pid)));
      const daemon = Number(readdirSync("/proc").find((pid) => isDaemon(pid)));
      await host.until(await host.run("true"), "ended");
      // What is left of an ended run is looked for within 200 ms.
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(isThere(daemon)).toBe(true);
      await host.driver.killTask(task.run, "KILL");
      await host.until(task, "ended");
      await until(() => !isThere(daemon));
    });

    it("counts a child in a session of its own, and ends the run that needs too much memory by it", async () => {
      const greedy = "a=$(head -c 120000000 /dev/zero | tr '\\0' x); sleep 5; echo survived ${#a}";
      const task = await host.run(`setsid sh -c "${greedy.replaceAll("$", "\\$")}" & wait $!`, {
        resources: { cpuMilli: 100, memoryBytes: 32 * MiB },
      });
      expect(await host.until(task, "ended")).toMatchObject({ outOfMemory: true });
      expect(host.output(task)).toBe("");
      await until(() => pidsOf(task.run).length === 0);
    });

    it("ends what a run left behind after its keeper was killed, and counts it until then", async () => {
      const task = await host.run(`${hasCgroups() ? "env -i setsid" : ""} sleep 1003 & echo $!; exec sleep 1`);
      await host.printed(task, "\n");
      const child = Number(host.output(task));
      await host.killKeepers();
      await host.until(task, "lost");
      expect(isThere(child)).toBe(false);
    });

    it("kills a run whose keeper was killed", async () => {
      const task = await host.run("trap '' TERM; echo up; sleep 1000; sleep 1000");
      await host.printed(task, "up");
      await host.killKeepers();
      await until(() => host.events.some(({ kind }) => kind === "found"));
      await host.driver.suspendTask(task.run);
      if (hasCgroups()) await until(() => isStopped(task.run));
      await host.driver.killTask(task.run, "KILL");
      await host.until(task, "lost");
      await until(() => pidsOf(task.run).length === 0);
    });
  });

  it("freezes so that no other run of the user lets it go on", async () => {
    await open(asFound);
    const task = await host.run("while :; do echo tick; sleep 0.02; done");
    await host.printed(task, "tick");
    host.driver.extendLeases?.([{ run: task.run, untilBootMs: uptime() * 1000 }]);
    await until(() => isStopped(task.run));
    const stood = host.output(task).length;
    const other = await host.run(`for n in 1 2 3 4 5; do kill -CONT ${pidsOf(task.run).join(" ")}; sleep 0.05; done`);
    expect(await host.until(other, "ended")).toMatchObject({ exitCode: 0 });
    expect(host.output(task)).toHaveLength(stood);
  });

  it("counts the cpu time of what a run did not wait for", async () => {
    await open(asFound);
    const busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done";
    const task = await host.run(`setsid sh -c '(${busy}) &' ; while ! grep -q done ../out; do sleep 0.1; done`);
    const { usage } = await host.until(task, "ended");
    expect(usage.cpuMs).toBeGreaterThan(100);
  });

  it("lets no task signal, limit or look into its keeper", async () => {
    await open(asFound);
    const attacks = [
      "kill -STOP $PPID",
      "kill -KILL $PPID",
      "prlimit --pid $PPID --nofile=3:3",
      "prlimit --pid $PPID --nproc=1:1",
      "renice -n 19 -p $PPID",
      "cat /proc/$PPID/mem",
      "ls /proc/$PPID/fd",
      "cat /proc/$PPID/environ",
    ];
    // Its keeper is its user only while it starts a program: it may be signalled just then, and the tests after this one say what comes of that.
    const task = await host.run(
      `sleep 0.5\n${attacks.map((attack) => `${attack} >/dev/null 2>&1; echo $?`).join("\n")}`,
    );
    await host.until(task, "ended");
    expect(
      host
        .output(task)
        .trim()
        .split("\n")
        .map((code) => code !== "0"),
    ).toEqual(attacks.map(() => true));
    expect(await host.until(await host.run("exit 3"), "ended")).toMatchObject({ exitCode: 3 });
  });

  it("starts and ends tasks though others of their user signal whatever they may all the time", async () => {
    await open(asFound);
    const attacker = await host.run("echo up; while :; do kill -STOP $PPID 2>/dev/null; done");
    await host.printed(attacker, "up");
    const tasks = Array.from({ length: 40 }, () => host.task("exit 4"));
    await host.driver.runTasks(tasks);
    for (const task of tasks)
      expect(await host.until(task, "ended", "lost", "unable")).toMatchObject({ run: task.run });
    await host.driver.killTask(attacker.run, "KILL");
    await host.until(attacker, "ended", "lost");
  });

  it("lets a stopped keeper go on, and takes over the runs of one that answers nothing", async () => {
    await open(asFound);
    const task = await host.run("echo up; sleep 1000");
    await host.printed(task, "up");
    const [keeper = 0] = host.keepers;
    process.kill(keeper, "SIGSTOP");
    expect(await host.until(await host.run("exit 5"), "ended")).toMatchObject({ exitCode: 5 });
    const again = setInterval(() => isThere(keeper) && process.kill(keeper, "SIGSTOP"), 5);
    try {
      await until(() => !isThere(keeper), 40_000);
    } finally {
      clearInterval(again);
    }
    await host.driver.killTask(task.run, "KILL");
    await host.until(task, "lost");
    expect(pidsOf(task.run)).toEqual([]);
    expect(await host.until(await host.run("exit 6"), "ended")).toMatchObject({ exitCode: 6 });
  });

  it("gives a task nothing that is open but its input and outputs", async () => {
    const file = openSync(join("/tmp", `berth-fd-${process.pid}`), "w");
    const libc = koffi.load(null);
    libc.func("int dup2(int from, int to)")(file, 77); // without FD_CLOEXEC
    try {
      await open(asFound);
      const task = await host.run("ls /proc/$$/fd; exit 0");
      await host.until(task, "ended");
      expect(host.output(task)).toBe("0\n1\n2\n");
      const [keeper = 0] = host.keepers;
      expect(readdirSync(`/proc/${keeper}/fd`)).not.toContain("77"); // a lock on it would be held for ever
    } finally {
      libc.func("int close(int fd)")(77);
      closeSync(file);
      rmSync(join("/tmp", `berth-fd-${process.pid}`));
    }
  });

  it("tells a user's limit of processes from a host without free descriptors, and recovers", async () => {
    await open(asFound);
    const running = await host.run("echo up; while [ ! -e go ]; do sleep 0.05; done; exit 7");
    await host.printed(running, "up");
    const [keeper = 0] = host.keepers;
    const limit = (what: string): void => {
      // As its group: who has another may not, without more than root's usual rights.
      const words = ["--regid=20001", "--clear-groups", "prlimit", "--pid", String(keeper), what];
      execFileSync("setpriv", words);
    };
    const refusal = async (): Promise<unknown> => host.until(await host.run("true"), "unable", "failed", "ended");
    limit("--nproc=1:");
    expect(await refusal()).toMatchObject({ kind: "unable", reason: { code: "USER_PROCESS_LIMIT" } });
    limit("--nproc=10000:");
    limit("--nofile=5:");
    expect(await refusal()).toMatchObject({ kind: "unable" });
    writeFileSync(join(running.taskDir, "go"), "");
    expect(await host.until(running, "ended", "lost")).toMatchObject({ kind: "ended", exitCode: 7 });
    limit("--nofile=4096:");
    expect(await host.until(await host.run("exit 8"), "ended")).toMatchObject({ exitCode: 8 });
  });

  it("starts nothing that it cannot record, and starts again once there is room", async () => {
    host = new Host();
    const data = join(host.dir, "data");
    mkdirSync(data);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", data]);
    try {
      await host.open();
      await host.until(await host.run("true"), "ended");
      const fill = openSync(join(data, "full"), "w");
      expect(() => {
        for (;;) writeFileSync(fill, Buffer.alloc(4096));
      }).toThrow(/ENOSPC/);
      closeSync(fill);
      const refused: { stdoutPath: string }[] = [];
      // The page that the record has begun still takes some lines.
      for (let kind = ""; kind !== "unable";) {
        const task = await host.run("true");
        const event = await host.until(task, "unable", "ended");
        ({ kind } = event);
        if (event.kind === "unable") {
          expect(event.reason).toMatchObject({ code: "RECORD_FAILED", message: expect.stringContaining("ENOSPC") });
          refused.push(task);
        }
      }
      expect(refused.map(({ stdoutPath }) => existsSync(stdoutPath))).toEqual([false]);
      rmSync(join(data, "full"));
      expect(await host.until(await host.run("exit 9"), "ended")).toMatchObject({ exitCode: 9 });
    } finally {
      execFileSync("umount", ["-l", data]);
    }
  });
});

/** Its command is the daemon's of these tests, and it has no environment but its shell's. */
function isDaemon(pid: string): boolean {
  try {
    return (
      readFileSync(`/proc/${pid}/cmdline`, "utf8") === "sleep\0" + "1001\0" &&
      !readFileSync(`/proc/${pid}/environ`, "utf8").includes("BERTH_RUN")
    );
  } catch {
    return false;
  }
}

function tryRemove(dir: string): boolean {
  try {
    for (const name of readdirSync(dir, { withFileTypes: true }))
      if (name.isDirectory()) tryRemove(join(dir, name.name));
    execFileSync("rmdir", [dir], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
