import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { FrameReader, frame } from "./frames.ts";
import { Keeper } from "./keeper.ts";
import { adoptOrphans, asUserOf, closeInherited } from "./native.ts";
import type { AsUser } from "./native.ts";
import { protocolVersion } from "./protocol.ts";
import type { FromKeeper, KeeperOptions, RunRecord, ToKeeper } from "./protocol.ts";
import { RecordFiles } from "./records.ts";
import { RunCgroups } from "./run-cgroups.ts";
import { cgroupProcesses, processTree } from "./run-processes.ts";

/**
 * The keeper's process. If root starts it, it stays root, so that no task can stop, trace or limit it. It acts as the tasks' user only while it makes their
 * directories and starts their programs. If the system cannot change the user of one thread, the keeper becomes that user for good.
 */
closeInherited();
const { dir, socket, cgroups, identity } = JSON.parse(process.argv[2] ?? "{}") as KeeperOptions;
const idleMs = 60_000;
const startedDelayMs = 3;
/** While each lane has runs waiting, reports of ends gather for this long: no place is idle meanwhile. */
const endedDelayMs = 8;
/** How long a new agent waits for the connection of the earlier one to close. */
const handoverTimeoutMs = 500;

process.umask(0o077);
process.on("SIGHUP", () => {});
process.on("SIGINT", () => {});
const records = new RecordFiles(dir);
let connection: Socket | undefined;
let closing = false;
const unsent = new Map<string, RunRecord>();
let sendTimer: NodeJS.Timeout | undefined;
let idleTimer: NodeJS.Timeout | undefined;

const asTheirUser = identity && asUserOf(identity.uid);
const isRoot = asTheirUser !== undefined;
const asUser: AsUser = asTheirUser ?? ((act) => act());
const processes =
  cgroups && isRoot
    ? cgroupProcesses(new RunCgroups(cgroups))
    : processTree(asUser, () => keeper.runs.filter(({ pid, x, f }) => pid !== undefined && !(x ?? f)));
const keeper: Keeper = new Keeper({ records, processes, asUser, report, onEmpty: endWhenIdle });
const server = createServer(accept);
server.listen(socket, () => {
  chmodSync(socket, 0o600);
  writePid();
  becomeUser();
  process.umask(0o022);
  adoptOrphans();
  process.on("SIGCHLD", () => keeper.reapAll());
  endWhenIdle();
});

function becomeUser(): void {
  if (!identity) return;
  process.setgroups?.([...identity.groups]);
  process.setgid?.(identity.gid);
  if (!isRoot) process.setuid?.(identity.uid);
}

/** Pid and start time, so that a later process with that pid is not taken for this one. */
function writePid(): void {
  const stat = process.platform === "linux" ? readFileSync("/proc/self/stat", "utf8") : "";
  const startedAt = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  const draft = join(dir, "keeper.pid.new");
  writeFileSync(draft, JSON.stringify({ pid: process.pid, startedAt }), { mode: 0o600 });
  renameSync(draft, join(dir, "keeper.pid"));
}

/** Accepts one agent at a time; the newest wins. Messages of the earlier agent may still be in its socket: they are read first, so the welcome includes their effect. */
function accept(next: Socket): void {
  next.on("error", () => {});
  const before = connection;
  if (!before) return welcome(next);
  const timer = setTimeout(() => before.destroy(), handoverTimeoutMs);
  before.once("close", () => {
    clearTimeout(timer);
    accept(next);
  });
}

function welcome(next: Socket): void {
  if (next.destroyed) return; // it left while it waited
  connection = next;
  unsent.clear(); // the welcome includes it
  clearTimeout(idleTimer);
  const reader = new FrameReader();
  next.on("data", (bytes: Buffer) => {
    try {
      for (const message of reader.read(bytes)) obey(message as ToKeeper);
    } catch {
      next.destroy();
    }
  });
  next.on("close", () => {
    if (connection !== next) return;
    connection = undefined;
    records.sync();
    endWhenIdle();
  });
  send({ t: "welcome", version: protocolVersion, pid: process.pid, runs: keeper.runs });
}

function obey(message: ToKeeper): void {
  switch (message.t) {
    case "start":
      return keeper.start(message.runs);
    case "signal":
      return keeper.signal(message.k, message.signal);
    case "extend":
      return keeper.extend(message.leases);
    case "settle":
      return keeper.settle(message.keys);
    case "back":
      return keeper.takeBack(message.keys);
    case "ping":
      return send({ t: "pong" });
    case "close":
      closing = true;
      return endWhenIdle();
  }
}

/** Reports runs to the agent. Starts are delayed a little, so that start and end of a short task go in one message. Ends go at once, unless all lanes have runs waiting. */
function report(runs: readonly RunRecord[]): void {
  if (!connection) return records.sync();
  for (const run of runs) unsent.set(run.k, run);
  const ends = runs.some(({ x, f }) => x ?? f);
  if (ends && !keeper.lanesAreStocked) sendUnsent();
  else sendTimer ??= setTimeout(sendUnsent, ends ? endedDelayMs : startedDelayMs);
}

function sendUnsent(): void {
  clearTimeout(sendTimer);
  sendTimer = undefined;
  send({ t: "news", runs: [...unsent.values()] });
  unsent.clear();
}

function send(message: FromKeeper): void {
  connection?.write(frame(message));
}

function endWhenIdle(): void {
  if (!keeper.isEmpty) return;
  if (closing) end();
  if (connection) return;
  clearTimeout(idleTimer);
  idleTimer = setTimeout(() => {
    if (keeper.isEmpty && !connection) end();
  }, idleMs);
}

function end(): void {
  processes.close();
  try {
    rmSync(socket, { force: true });
  } catch {
    // The agent removes it, if this user may not.
  }
  process.exit(0);
}
