import { spawn } from "node:child_process";
import { closeSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Layout } from "./layout.ts";
import { findProcess, isAlive, rememberProcess, stopProcess } from "./processes.ts";
import type { KnownProcess } from "./processes.ts";
import type { ServiceProcess } from "./services.ts";

const lookEveryMs = 5_000;
/** Far above what a busy machine keeps a process from its turn, and well within the margin after which lost runs are given up. */
const stalledMs = 45_000;
const firstDelayMs = 100;
const maxDelayMs = 5000;
/** A process that lived this long starts again without delay. */
const steadyMs = 10_000;
const maxLogBytes = 20 * 1024 * 1024;

/**
 * Keeps processes running: starts what is not there, adopts what an earlier supervisor left, starts again what ended. A start that fails, also because
 * files are missing for a while during an update, is tried again with back-off for ever. Processes outlive their supervisor.
 */
export async function supervise(
  layout: Layout,
  services: readonly ServiceProcess[],
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    services.map((service) => Promise.all([keepRunning(layout, service, signal), endStalled(layout, service, signal)])),
  );
}

/** Ends a process whose heartbeat stopped; it is started again then. What it looks after runs on, and it must be told when to stop. */
async function endStalled(layout: Layout, { name, heartbeatFile }: ServiceProcess, signal: AbortSignal): Promise<void> {
  if (heartbeatFile === undefined) return;
  let beatMs = 0;
  let sinceMs = performance.now();
  let lookedMs = sinceMs;
  while (!signal.aborted) {
    await sleep(lookEveryMs, signal);
    const now = performance.now();
    const mtimeMs = statSync(heartbeatFile, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    // Time in which this process stood still as well tells nothing, as when the machine slept.
    if (mtimeMs !== beatMs || now - lookedMs > 3 * lookEveryMs) sinceMs = now;
    beatMs = mtimeMs;
    lookedMs = now;
    const known = findProcess(layout.run, name);
    if (!known || mtimeMs === 0) sinceMs = now;
    if (!known || now - sinceMs < stalledMs || signal.aborted) continue;
    process.stderr.write(
      `${new Date().toISOString()} ${name} (pid ${known.pid}) gave no sign for ${stalledMs / 1000} s: ending it\n`,
    );
    await stopProcess(known, 0);
    sinceMs = performance.now();
  }
}

async function keepRunning(layout: Layout, service: ServiceProcess, signal: AbortSignal): Promise<void> {
  let delayMs = firstDelayMs;
  const adopted = findProcess(layout.run, service.name);
  if (adopted) await ended(adopted, signal);
  while (!signal.aborted) {
    const startedAt = Date.now();
    await runOnce(layout, service, signal);
    if (signal.aborted) return;
    delayMs = Date.now() - startedAt > steadyMs ? firstDelayMs : Math.min(delayMs * 2, maxDelayMs);
    await sleep(delayMs, signal);
  }
}

/** Starts the process and resolves when it ended, or could not be started. */
async function runOnce(layout: Layout, service: ServiceProcess, signal: AbortSignal): Promise<void> {
  if (service.readyFile) rmSync(service.readyFile, { force: true });
  const log = openLog(join(layout.logs, `${service.name}.log`));
  const gone = Promise.withResolvers<void>();
  try {
    // A session of its own: a Ctrl-C in the terminal that started the cluster is not meant for it.
    const child = spawn(service.command, [...service.args], {
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...inherited(), ...service.env },
      cwd: layout.data,
    });
    child.once("error", () => gone.resolve());
    child.once("exit", () => gone.resolve());
    if (child.pid !== undefined) rememberProcess(layout.run, service.name, child.pid);
  } catch {
    gone.resolve();
  } finally {
    closeSync(log);
  }
  await Promise.race([gone.promise, aborted(signal)]);
}

/** Nothing of the user's shell but what a program needs to run; secrets of the shell do not reach services. */
function inherited(): Record<string, string> {
  const keep = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
  ];
  return Object.fromEntries(keep.flatMap((key) => (process.env[key] === undefined ? [] : [[key, process.env[key]]])));
}

function openLog(path: string): number {
  try {
    if (statSync(path).size > maxLogBytes) renameSync(path, `${path}.1`);
  } catch {
    // no log yet
  }
  return openSync(path, "a", 0o600);
}

/** Resolves when a process that is not our child has ended; there is nothing to wait on but looking. */
async function ended(known: KnownProcess, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && isAlive(known)) await sleep(250, signal);
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true }),
  );
