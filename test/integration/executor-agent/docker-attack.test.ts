import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runName } from "@berth/core";
import Docker from "dockerode";
import { sharedDockerEngine, whyNoDockerEngine } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DockerBench } from "./docker-bench.ts";

const why = whyNoDockerEngine();

/** What a task tries from inside its container, as its user: the only one that it can be. */
describe.skipIf(why !== undefined && !process.env["CI"])(
  `a hostile task in a container${why === undefined ? "" : ` NOT RUN: ${why}`}`,
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

    /** Runs it to its end; its output without the last newline. */
    async function said(script: string, more: Parameters<DockerBench["run"]>[1] = {}): Promise<string> {
      const run = await bench.run(`exec 2>&1; ${script}`, more);
      await bench.end(run);
      return bench.sink.text(run).trimEnd();
    }

    it("does not become root: no program with the set-user bit helps, no namespace, no capability", async () => {
      const image = await imageWithSuidProgram(shared.socketPath);
      expect(await said("id -u; /busybox-suid id -u; /busybox-suid cat /only-root", { image })).toMatch(
        /^20000\n20000\n.*Permission denied$/s,
      );
      const tries = [
        "unshare -m true",
        "mount -t tmpfs none /tmp",
        "mount -o remount,rw /proc/sys",
        "mknod /tmp/disk b 8 0",
        "chroot / true",
        "chown 0 /berth/task",
        "hostname other",
        "nice -n -5 true",
      ];
      const status = await said(
        `${tries
          .slice(1)
          .map((one) => `${one} >/dev/null 2>&1 && echo 'could: ${one}'`)
          .join("; ")}; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status`,
      );
      expect(status).not.toContain("could:");
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
        expect(status).toMatch(new RegExp(`${set}:\\s+0{16}`));
      expect(status).toMatch(/NoNewPrivs:\s+1/);
      expect(status).toMatch(/Seccomp:\s+2/);
    });

    it("finds no socket of an engine, no device, and writes nothing of the kernel's", async () => {
      const found = await said(
        `find / -type s 2>/dev/null; find / -type b 2>/dev/null; ls /var/run/docker.sock /run/docker.sock ${shared.socketPath} 2>&1 | grep -v 'No such file'; ` +
          "for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/kernel/uevent_helper /proc/sys/kernel/hostname; do { echo x > $f; } 2>/dev/null && echo wrote $f; done; " +
          "find /sys/fs/cgroup -writable -type f 2>/dev/null | head -3; cat /proc/kcore 2>/dev/null | head -c 1 | wc -c",
      );
      expect(found).toBe("0");
    });

    it("sees only its own processes, and none of the host's or of another task", async () => {
      const other = await bench.run("exec sleep 600");
      await bench.until(other, "started");
      const seen = await said("ps -o pid,args; kill -9 -1; kill -STOP $PPID; readlink /proc/1/root; ls /proc/1/root");
      const another = await said("ps -o args; ls -d /proc/[0-9]* | wc -l; kill -9 1; sleep 0.2; echo alive");
      expect(seen).not.toMatch(/node|dockerd|containerd|nats|sleep 600/);
      expect(another).not.toMatch(/node|dockerd|containerd|nats|sleep 600/);
      expect(bench.of(other).map(({ kind }) => kind)).toEqual(["started"]);
      await bench.driver.killTask(other, "KILL");
      expect(await bench.end(other)).toMatchObject({ kind: "ended", signal: 9 });
    });

    it("reaches no address but its own loopback, and not what listens on the host's", async () => {
      const server = createServer((_, answer) => void answer.end("reached")).listen(0, "0.0.0.0");
      await new Promise((resolve) => server.once("listening", resolve));
      const { port } = server.address() as AddressInfo;
      try {
        const text = await said(
          `ls /sys/class/net; for host in 127.0.0.1 172.17.0.1 10.0.0.1 169.254.169.254; do wget -T 2 -q -O - http://$host:${port}/ 2>/dev/null; done; echo done`,
        );
        expect(text).toBe("lo\ndone");
        // Abstract sockets belong to a network, and so are the container's own.
        expect(await said("cat /proc/net/unix | wc -l")).toBe("1");
      } finally {
        server.close();
      }
    });

    it("sees only its own directory of those that tasks have, read-only ones read-only, and leaves no way out of it", async () => {
      const secret = join(bench.dir, "secret");
      writeFileSync(secret, "secret\n", { mode: 0o644 });
      const neighbour = bench.task(["true"]);
      const arrayDir = join(bench.dir, "array-base");
      const controlDir = join(bench.dir, "control-dir");
      for (const dir of [arrayDir, controlDir]) mkdirSync(dir);
      writeFileSync(join(controlDir, "script"), "#!/bin/sh\n");
      chmodSync(join(controlDir, "script"), 0o555);
      const task = bench.task(
        [
          "/bin/sh",
          "-c",
          `exec 2>&1; cd /berth/task; ln -s ${secret} link; cat link; ln -s / root; ls root/${bench.dir}; cat ../../${secret}; cat /proc/1/root${secret}; cat /proc/self/cwd/..${secret};
        ls /berth; ls ${bench.dir}; echo x > /berth/array/x; echo x > /berth/control/script; rm -rf /berth/control/script; mv /berth/task /berth/gone; ls -d /berth/task; ls ${neighbour.taskDir}`,
        ],
        { controlDir },
      );
      await bench.driver.runTasks([{ ...task, env: { ...task.env, BERTH_ARRAY_DIR: arrayDir } }]);
      await bench.end(task.run);
      const text = bench.sink.text(task.run);
      expect(text).not.toContain("secret\n");
      expect(text).toContain("array\ncontrol\ntask\n");
      expect(existsSync(join(arrayDir, "x"))).toBe(false);
      expect(readFileSync(join(controlDir, "script"), "utf8")).toBe("#!/bin/sh\n");
      expect(existsSync(task.taskDir)).toBe(true);
    });

    it("cannot harm its host by processes, open files or locked memory", { timeout: 120_000 }, async () => {
      const limits = await said("ulimit -c; ulimit -Hn; ulimit -Hl; cat /proc/self/oom_score_adj; ulimit -Hq");
      const [core, files, locked, adjust] = limits.split("\n");
      expect(core).toBe("0");
      expect(Number(files)).toBeLessThanOrEqual(1_048_576);
      expect(Number(locked)).toBeLessThanOrEqual(8192);
      // A negative one would have the kernel take others first.
      expect(Number(adjust)).toBeGreaterThanOrEqual(0);
      bench.options = { pidsLimit: 64 };
      await bench.close();
      await bench.open();
      const bomb = await bench.run("bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 2; echo over");
      await bench.until(bomb, "started");
      const others = await bench.until(await bench.run("echo fine"), "ended");
      expect(others.exitCode).toBe(0);
      await bench.driver.killTask(bomb, "KILL");
      await bench.end(bomb);
      // Open files and inodes: as many as it may have, in a directory of its own, while others open theirs.
      const opens =
        'n=$(ulimit -n); [ $n -lt 20000 ] || n=20000; i=10; while [ $i -lt $((n - 5)) ]; do eval "exec $i>/berth/task/f$i"; i=$((i+1)); done; echo opened; sleep 600';
      const hoard = await bench.run(opens, { resources: { cpuMilli: 2000, memoryBytes: 64 * 2 ** 20 } });
      for (let tries = 0; bench.sink.text(hoard) === "" && tries < 1200; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect(bench.sink.text(hoard)).toBe("opened\n");
      const [fileNr] = readFileSync("/proc/sys/fs/file-nr", "utf8").split("\t");
      const max = Number(readFileSync("/proc/sys/fs/file-max", "utf8"));
      expect(Number(fileNr)).toBeLessThan(max / 2);
      expect((await bench.until(await bench.run("cat /etc/passwd"), "ended")).exitCode).toBe(0);
      await bench.driver.killTask(hoard, "KILL");
      await bench.end(hoard);
    });

    it("ends with all it started, though that left its session and ignores signals", async () => {
      const run = await bench.run(
        "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM HUP INT; while :; do sleep 1; done' >/dev/null 2>&1 & done; sleep 0.3; exit 0",
      );
      await bench.end(run);
      const left = execFileSync("sh", ["-c", `grep -l ${runName(run)} /proc/[0-9]*/cgroup 2>/dev/null | wc -l`]);
      expect(left.toString().trim()).toBe("0");
    });
  },
);

/** The default image with a program that has root's set-user bit, and a file that only root reads. */
async function imageWithSuidProgram(socketPath: string): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), "berth-suid-"));
  try {
    copyFileSync("/bin/busybox", join(dir, "busybox-suid"));
    chmodSync(join(dir, "busybox-suid"), 0o4755);
    writeFileSync(join(dir, "only-root"), "secret\n", { mode: 0o600 });
    const tar = execFileSync("tar", ["-C", dir, "--owner=0", "--group=0", "-cf", "-", "busybox-suid", "only-root"], {
      maxBuffer: 2 ** 26,
    });
    const docker = new Docker({ socketPath }) as unknown as ImageMaking;
    const container = await docker.createContainer({
      Image: "berth-busybox:1",
      Cmd: ["true"],
      HostConfig: { NetworkMode: "none" },
    });
    await container.putArchive(tar, { path: "/" });
    await container.commit({ repo: "berth-suid", tag: "1" });
    await container.remove();
    return "berth-suid:1";
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
interface ImageMaking {
  createContainer(options: object): Promise<{
    putArchive(tar: Buffer, options: object): Promise<unknown>;
    commit(options: object): Promise<unknown>;
    remove(): Promise<unknown>;
  }>;
}
