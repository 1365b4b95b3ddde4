import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeDirectories } from "./cluster-file.ts";
import { readFaults } from "./faults.ts";
import { layoutOf } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { findProcess, rememberProcess, stopProcess } from "./processes.ts";
import type { ServiceProcess } from "./services.ts";
import { supervise } from "./supervisor.ts";

describe("the supervisor", () => {
  let layout: Layout;
  let stop: AbortController;
  beforeEach(() => {
    layout = layoutOf(mkdtempSync(join(tmpdir(), "berth-supervisor-")));
    makeDirectories(layout);
    stop = new AbortController();
  });
  afterEach(async () => {
    stop.abort();
    const known = findProcess(layout.run, "storage");
    if (known) await stopProcess(known, 0);
    for (const path of [layout.run, layout.data]) rmSync(path, { recursive: true, force: true });
  });

  const starts = () => readLines("starts").length;
  const readLines = (name: string): string[] => {
    const path = join(layout.data, name);
    return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
  };

  /** A process that writes a line at each start, and then does what `source` says. */
  const script = (source: string, own: Partial<ServiceProcess> = {}): ServiceProcess => ({
    name: "storage",
    command: "sh",
    args: ["-c", `echo started >> starts; ${source}`],
    env: {},
    readyFile: join(layout.run, "storage.ready"),
    lifeSign: { heartbeatFile: join(layout.run, "storage.heartbeat") },
    ...own,
  });

  async function until(isSo: () => boolean, withinMs = 20_000): Promise<void> {
    for (const end = Date.now() + withinMs; !isSo(); await new Promise((resolve) => setTimeout(resolve, 10)))
      if (Date.now() > end) throw new Error(`not so after ${withinMs} ms: ${isSo.toString()}`);
  }

  it.each([78, 2])("leaves down what ends with %i, and keeps its last words", async (code) => {
    const line = JSON.stringify({ level: "error", message: "storage.db is damaged", error: { message: "disk image" } });
    const done = supervise(
      layout,
      [script(`echo '${line}' >&2; echo '{"level":"info"}' >&2; exit ${code}`)],
      stop.signal,
    );
    await until(() => readFaults(layout).length > 0);
    expect(readFaults(layout)).toEqual([
      { name: "storage", staysDown: true, ends: 1, words: "storage.db is damaged: disk image" },
    ]);
    await new Promise((resolve) => setTimeout(resolve, 500)); // twice the pause after which it would be started again
    expect(starts()).toBe(1);
    stop.abort();
    await done;
  });

  it("tries again what ends by itself, after growing pauses, reports it, and takes that back once it lives", async () => {
    const source = `date +%s%N >> times; [ -e mended ] && exec sleep 60; echo "no room left" >&2; exit 1`;
    void supervise(layout, [script(source)], stop.signal, { firstDelayMs: 20, steadyMs: 1_000 });
    await until(() => readFaults(layout).length > 0);
    expect(readFaults(layout)).toEqual([{ name: "storage", staysDown: false, ends: 5, words: "no room left" }]);
    const times = readLines("times").map((line) => Number(BigInt(line) / 1_000_000n));
    const pauses = times.slice(1).map((time, at) => time - times[at]!);
    pauses.forEach((pause, at) => expect(pause).toBeGreaterThanOrEqual(20 * 2 ** (at + 1) - 5));
    writeFileSync(join(layout.data, "mended"), "");
    await until(() => readFaults(layout).length === 0);
    expect(starts()).toBe(6);
  }, 30_000);

  it("starts a process anew that gave no sign of life, but not while it starts, and not for less", async () => {
    const beat = `while :; do touch ${layout.run}/storage.heartbeat; sleep 0.1; done`;
    void supervise(layout, [script(`touch ${layout.run}/storage.ready; ${beat}`)], stop.signal, { stalledMs: 1_000 });
    await until(() => existsSync(join(layout.run, "storage.heartbeat")));
    const first = findProcess(layout.run, "storage")!.pid;
    process.kill(first, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 400));
    process.kill(first, "SIGCONT");
    await new Promise((resolve) => setTimeout(resolve, 900));
    expect(findProcess(layout.run, "storage")?.pid).toBe(first);
    rmSync(join(layout.run, "storage.ready"));
    process.kill(first, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(findProcess(layout.run, "storage")?.pid).toBe(first);
    writeFileSync(join(layout.run, "storage.ready"), "");
    await until(() => ![first, undefined].includes(findProcess(layout.run, "storage")?.pid));
  }, 30_000);

  it("asks a server without a heartbeat for its greeting", async () => {
    let isSilent = false;
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on("error", () => {}));
      if (!isSilent) socket.write("INFO {}\r\n");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const lifeSign = { greetingPort: (server.address() as AddressInfo).port };
    void supervise(layout, [script("exec sleep 60", { readyFile: undefined, lifeSign })], stop.signal, {
      stalledMs: 600,
    });
    await until(() => findProcess(layout.run, "storage") !== undefined);
    const first = findProcess(layout.run, "storage")!.pid;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(findProcess(layout.run, "storage")?.pid).toBe(first);
    isSilent = true;
    await until(() => ![first, undefined].includes(findProcess(layout.run, "storage")?.pid));
    for (const socket of sockets) socket.destroy();
    server.close();
  }, 30_000);

  it("adopts a process of an earlier supervisor", async () => {
    const child = spawn("sleep", ["60"]);
    rememberProcess(layout.run, "storage", child.pid!);
    void supervise(layout, [script("exec sleep 60")], stop.signal);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(starts()).toBe(0);
    child.kill("SIGKILL");
    await until(() => starts() === 1);
  });
});
