import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, openSync, closeSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@berth/local";
import { killKeepers, repositoryRoot, runBerth, startNats, until } from "@berth/test-support";
import type { NatsServer } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const twice = ["auth", "gateway", "scheduler", "watcher"] as const;

/** A cluster as an operator starts it: `berth serve` with one file of settings, each service on a port of its own. */
describe("copies of services, started by berth serve", () => {
  let dir: string;
  let nats: NatsServer;
  let env: string;
  let first: ReturnType<typeof runBerth>;
  const ports = new Map<string, number>();
  const running = new Map<string, ChildProcess>();
  const addressOf = (service: string, copies = 2): string =>
    Array.from({ length: copies }, (_, n) => `127.0.0.1:${ports.get(`${service}${n + 1}`)}`).join(",");
  const mine = { XDG_CONFIG_HOME: "", BERTH_DATA: "", NO_COLOR: "1" };
  const berth = (...args: string[]) => runBerth(args, { env: mine });

  async function serve(service: string, copy = 1, more: Readonly<Record<string, string>> = {}): Promise<void> {
    const name = `${service}${copy}`;
    const ready = join(dir, `${name}.ready`);
    rmSync(ready, { force: true });
    const log = openSync(join(dir, `${name}.log`), "a");
    const child = spawn(
      join(repositoryRoot, "berth"),
      ["serve", service, "--env", env, "--listen", addressOf(service).split(",")[copy - 1]!],
      {
        env: { PATH: process.env["PATH"], HOME: process.env["HOME"], BERTH_READY_FILE: ready, ...more },
        stdio: ["ignore", log, log],
      },
    );
    closeSync(log);
    running.set(name, child);
    await until(() => {
      if (child.exitCode !== null) throw new Error(readFileSync(join(dir, `${name}.log`), "utf8"));
      try {
        // The pid of the service is the one that was started: nothing stands between them.
        return (JSON.parse(readFileSync(ready, "utf8")) as { pid: number }).pid === child.pid;
      } catch {
        return false;
      }
    }, `${name} to serve`);
  }
  async function kill(name: string): Promise<void> {
    const child = running.get(name)!;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "berth-copies-"));
    chmodSync(dir, 0o711);
    mine.XDG_CONFIG_HOME = join(dir, "config");
    mine.BERTH_DATA = join(dir, "none");
    mkdirSync(join(dir, "data"));
    const password = randomBytes(12).toString("hex");
    nats = await startNats({ dir: join(dir, "nats"), user: "control", password });
    for (const service of [...twice, "storage", "agent"])
      for (const copy of [1, 2]) ports.set(`${service}${copy}`, await freePort(0));
    env = join(dir, "cluster.env");
    const settings = {
      BERTH_CLUSTER_ID: "copies",
      BERTH_CLUSTER_SECRET: randomBytes(12).toString("hex"),
      BERTH_STORAGE: addressOf("storage", 1),
      BERTH_AUTH: addressOf("auth"),
      BERTH_SCHEDULER: addressOf("scheduler"),
      BERTH_WATCHER: addressOf("watcher"),
      BERTH_NATS_URL: nats.url,
      BERTH_NATS_USER: "control",
      BERTH_NATS_PASSWORD: password,
      BERTH_DATA_DIR: join(dir, "data"),
    };
    writeFileSync(
      env,
      Object.entries(settings)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(""),
      { mode: 0o600 },
    );
    await serve("storage");
    // Before there is an auth to ask, as somebody does who pastes all lines at once.
    first = berth("user", "first", "ada", "--env", env, "--uid", String(process.getuid?.() || 20_000));
    await Promise.all(twice.flatMap((service) => [serve(service, 1), serve(service, 2)]));
    await serve("agent", 1, { BERTH_DRIVER: "process", BERTH_DATA_DIR: join(dir, "agent"), BERTH_RUN_DIR: dir });
  }, 60_000);
  afterAll(async () => {
    for (const name of running.keys()) await kill(name);
    killKeepers(join(dir, "agent", "keepers"));
    await nats.kill();
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  });

  it("log in by a list of gateways and run a task", async () => {
    const { code, stdout, stderr } = await first;
    expect(code, stderr).toBe(0);
    const login = await runBerth(["login", addressOf("gateway"), "--key-stdin"], { input: stdout, env: mine });
    expect(login, login.stderr).toMatchObject({ code: 0 });
    expect(await berth("run", "-q", "--", "echo", "hello")).toEqual({ code: 0, stdout: "hello\n", stderr: "" });
    const status = await berth("status");
    for (const service of ["auth", "scheduler", "watcher"])
      for (const address of addressOf(service).split(",")) expect(status.stdout).toContain(`${service} ${address}`);
    expect(status.stdout).toMatch(/scheduler \S+ +ok +leads, term \d+/);
    expect(status.stdout).toMatch(/scheduler \S+ +ok +stands by/);
    await until(async () => /watcher \S+ +ok +keeps the timers/.test((await berth("status")).stdout), "the timers");
    expect(status.code).toBe(0);
  });

  for (const service of twice)
    for (const copy of [1, 2])
      it(`go on without ${service} ${copy}`, async () => {
        await kill(`${service}${copy}`);
        expect(await berth("run", "-q", "--", "echo", "still")).toEqual({ code: 0, stdout: "still\n", stderr: "" });
        const one = await berth("--server", addressOf("gateway"), "status");
        // A copy that is away is no outage, but not all is well.
        if (service !== "gateway") {
          expect(one.code).toBe(1);
          const address = addressOf(service).split(",")[copy - 1]!;
          expect(one.stdout).toMatch(new RegExp(`${service} ${address} +down .*ECONNREFUSED ${address}`));
        }
        await serve(service, copy);
      });

  it("explain a task whichever scheduler is asked first", async () => {
    const parent = (await berth("submit", "--", "sleep", "60")).stdout.trim();
    const id = (await berth("submit", "--afterok", parent, "--", "true")).stdout.trim();
    await until(async () => (await berth("why", id, "--json")).stdout.includes("WAITING_FOR_DEPENDENCY"), "an answer");
    for (let n = 0; n < 4; n++) expect((await berth("why", id)).code).toBe(0);
    expect((await berth("kill", parent, id)).code).toBe(0);
  });

  it("say what is wrong with settings", async () => {
    const missing = await berth("serve", "gateway", "--env", join(dir, "none.env"));
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining("none.env cannot be read") });
    expect((await berth("serve", "nothing")).code).toBe(2);
    const storage = await berth("serve", "storage", "--env", env, "--listen", "127.0.0.1:0");
    expect(storage.code).toBe(1);
    expect(storage.stdout + storage.stderr).toContain("an embedded store has exactly one");
  });
});
