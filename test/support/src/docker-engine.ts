import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

/** A Docker engine of a test's own: directories, socket and cgroups of its own, no network but none. */
export interface DockerEngine {
  readonly socketPath: string;
  readonly dir: string;
  readonly pid: number;
  /** Ends it with everything that it runs, and removes what it made. */
  stop(): Promise<void>;
  /** Ends the daemon as a restart of its service would, or as a crash; its files stay. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Starts it again on its files. */
  start(): Promise<void>;
}

/** Undefined where an engine can be started here; else why not, for a visible NOT RUN. Installs it where that asks nobody (root on Debian). */
export function whyNoDockerEngine(): string | undefined {
  if (process.platform !== "linux") return "no Linux";
  if (process.getuid?.() !== 0) return "not root";
  if (dockerd() === undefined && existsSync("/usr/bin/apt-get")) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    try {
      execFileSync("apt-get", ["install", "-y", "--no-install-recommends", "docker.io", "busybox-static"], {
        env,
        stdio: "ignore",
        timeout: 240_000,
      });
    } catch {
      return "docker.io cannot be installed";
    }
  }
  return dockerd() === undefined ? "no dockerd" : undefined;
}

const dockerd = (): string | undefined =>
  ["/usr/sbin/dockerd", "/usr/bin/dockerd", "/usr/local/bin/dockerd"].find((path) => existsSync(path));

/** Starts one; resolves when it answers (about 2 s). */
export async function startDockerEngine(
  dir: string,
  options: { readonly liveRestore?: boolean; readonly bridge?: string } = {},
): Promise<DockerEngine> {
  const path = dockerd();
  if (path === undefined) throw new Error("no dockerd");
  mkdirSync(dir, { recursive: true, mode: 0o711 });
  const socketPath = join(dir, "sock");
  const cgroup = `berth-test-${randomBytes(4).toString("hex")}`;
  const containerdPid = (): number | undefined => pidIn(join(dir, "exec/containerd/containerd.pid"));
  let pid = 0;

  async function start(): Promise<void> {
    const log = openSync(join(dir, "log"), "a");
    const directories = [
      "--data-root",
      join(dir, "data"),
      "--exec-root",
      join(dir, "exec"),
      "--pidfile",
      join(dir, "pid"),
    ];
    const daemon = spawn(
      path!,
      [
        ...directories,
        ...(options.liveRestore ? ["--live-restore"] : []),
        "-H",
        `unix://${socketPath}`,
        "--iptables=false",
        `--bridge=${options.bridge ?? "none"}`,
        `--cgroup-parent=/${cgroup}`,
      ],
      {
        stdio: ["ignore", log, log],
        detached: true,
      },
    );
    daemon.unref();
    pid = daemon.pid!;
    for (const until = Date.now() + 30_000; !(await answers(socketPath)); await wait(50)) {
      if (daemon.exitCode !== null || Date.now() > until)
        throw new Error(`dockerd did not start:\n${readFileSync(join(dir, "log"), "utf8").slice(-2000)}`);
    }
  }

  async function end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const containerd = containerdPid();
    if (!signalTo(pid, signal)) return;
    for (const until = Date.now() + 25_000; isAlive(pid); await wait(20))
      if (Date.now() > until) signalTo(pid, "SIGKILL");
    // A killed one's containerd dies with it, but may stay as a zombie, which the next one would take for alive.
    if (signal === "SIGKILL" && containerd !== undefined) {
      for (signalTo(containerd, "SIGKILL"); isAlive(containerd);) await wait(20);
      rmSync(join(dir, "exec/containerd/containerd.pid"), { force: true });
    }
    rmSync(join(dir, "pid"), { force: true });
  }

  async function stop(): Promise<void> {
    await end("SIGTERM");
    await removeDockerEngine(dir);
    for (const hierarchy of cgroupHierarchies()) removeCgroup(join(hierarchy, cgroup));
  }

  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    socketPath,
    dir,
    get pid() {
      return pid;
    },
    stop,
    end,
    start,
  };
}

/** Removes what an engine leaves behind: all of one whose maker was killed, and what runs on in containers after its own end. */
export async function removeDockerEngine(dir: string): Promise<void> {
  const containers = existsSync(join(dir, "data/containers")) ? readdirSync(join(dir, "data/containers")) : [];
  for (const pid of [pidIn(join(dir, "pid")), pidIn(join(dir, "exec/containerd/containerd.pid")), ...shimsOf(dir)]) {
    if (pid !== undefined)
      for (let tries = 0; signalTo(pid, "SIGKILL") && isAlive(pid) && tries < 200; tries += 1) await wait(20);
  }
  for (const pid of processesOf(containers)) for (; signalTo(pid, "SIGKILL") && isAlive(pid);) await wait(20);
  for (const hierarchy of containers.length > 0 ? cgroupHierarchies() : []) removeCgroupsOf(hierarchy, containers);
  for (const mount of mountsUnder(dir).reverse()) execFileSync("umount", ["-l", mount], { stdio: "ignore" });
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}

/** A container's id is in the name of its cgroup, wherever that is. */
function processesOf(containers: readonly string[]): readonly number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      const cgroups = readFileSync(`/proc/${pid}/cgroup`, "utf8");
      return containers.some((id) => cgroups.includes(id));
    } catch {
      return false;
    }
  });
}

/** With the empty ones above them. */
function removeCgroupsOf(hierarchy: string, containers: readonly string[]): void {
  for (const path of readdirSync(hierarchy, { recursive: true, encoding: "utf8" })) {
    if (!containers.some((id) => path.endsWith(id))) continue;
    for (let at = path; at !== "."; at = dirname(at)) {
      try {
        rmdirSync(join(hierarchy, at));
      } catch {
        break;
      }
    }
  }
}

/**
 * One engine for all test files of this tree that run at about the same time. A process of its own holds it, and stops it some seconds after the last
 * file let go, or died.
 */
export async function sharedDockerEngine(): Promise<{ readonly socketPath: string; release(): Promise<void> }> {
  const dir = join(
    tmpdir(),
    `berth-engine-${createHash("sha256")
      .update(import.meta.dirname)
      .digest("hex")
      .slice(0, 8)}`,
  );
  const owner = join(import.meta.dirname, "docker-engine-owner.ts");
  for (const until = Date.now() + 60_000; Date.now() < until; await wait(100)) {
    const lease = await connect(join(dir, "lease"));
    if (lease === undefined) {
      // Only one of several processes becomes the owner; the others exit immediately.
      spawn(process.execPath, [owner, dir], { stdio: "ignore", detached: true }).unref();
      await wait(300);
      continue;
    }
    const [ready] = (await Promise.race([once(lease, "data"), once(lease, "close").then(() => [])])) as [Buffer?];
    if (ready === undefined) continue;
    lease.unref();
    return {
      socketPath: ready.toString(),
      async release() {
        lease.destroy();
      },
    };
  }
  throw new Error("no shared Docker engine within 60 s");
}

function connect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(undefined));
  });
}

async function answers(socketPath: string): Promise<boolean> {
  const socket = await connect(socketPath);
  if (socket === undefined) return false;
  try {
    socket.write("GET /_ping HTTP/1.0\r\n\r\n");
    const [reply] = (await Promise.race([once(socket, "data"), wait(1000, [])])) as [Buffer?];
    return reply?.toString().includes(" 200 ") ?? false;
  } catch {
    return false; // It goes away, or is not there yet.
  } finally {
    socket.destroy();
  }
}

const pidIn = (file: string): number | undefined => (existsSync(file) ? Number(readFileSync(file, "utf8")) : undefined);

/** False where there is no such process. */
function signalTo(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** A zombie of this very process counts as ended. */
export function isAlive(pid: number): boolean {
  if (!signalTo(pid, 0)) return false;
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Shims of this engine's containerd, known by its address in their command line. */
function shimsOf(dir: string): readonly number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      return command.includes("containerd-shim") && command.includes(join(dir, "exec/"));
    } catch {
      return false;
    }
  });
}

function mountsUnder(dir: string): string[] {
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return mounts.map((line) => line.split(" ")[1] ?? "").filter((point) => point.startsWith(`${dir}/`));
}

function cgroupHierarchies(root = "/sys/fs/cgroup"): readonly string[] {
  if (existsSync(join(root, "cgroup.controllers"))) return [root];
  return readdirSync(root).map((name) => join(root, name));
}

function removeCgroup(path: string): void {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroup(join(path, entry.name));
  try {
    rmdirSync(path);
  } catch {
    // A process in it is still ending; an empty cgroup is harmless.
  }
}
