import { spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { describeFault, forgetFault, lastWords, reportFault } from "./faults.ts";
import type { Layout } from "./layout.ts";
import { defaultStalledMs, endStalled } from "./life-signs.ts";
import { findProcess, isAlive, rememberProcess } from "./processes.ts";
import type { KnownProcess } from "./processes.ts";
import type { ServiceProcess } from "./services.ts";
import { sleep } from "./sleep.ts";

/** Times of a supervisor. */
export interface Pace {
  /** Longest silence of a process. */
  readonly stalledMs: number;
  /** Pause before the first restart; doubled with each further end in a row. */
  readonly firstDelayMs: number;
  /** A process that ran this long is restarted after the first pause, and its reported fault is withdrawn. */
  readonly steadyMs: number;
}

const usualPace: Pace = { stalledMs: defaultStalledMs, firstDelayMs: 100, steadyMs: 10_000 };

/** Longest pause before restarting a process that was killed by a signal, by a person or by the kernel for lack of memory. */
const maxDelayMs = 5_000;
/** Longest pause for a process that exited, whose cause will not vanish quickly. */
const maxFailingDelayMs = 60_000;
/** Number of early ends in a row after which the operator is told. */
const reportedEnds = 5;
/** Exit codes of a service that cannot start until an operator acts: bad configuration, damaged data (EX_CONFIG). */
const needsOperator: ReadonlySet<number> = new Set([2, 78]);
const maxLogBytes = 20 * 1024 * 1024;

/**
 * Keeps processes running: starts missing ones, adopts those of an earlier supervisor, and restarts those that ended or hang. A failed start is repeated after growing
 * pauses and reported (`readFaults`), also if files are missing for some time during an update. A process whose exit code asks for an operator stays down until the next
 * supervisor starts, as with `berth up`. Processes outlive their supervisor.
 */
export async function supervise(
  layout: Layout,
  services: readonly ServiceProcess[],
  signal: AbortSignal,
  wishes: Partial<Pace> = {},
): Promise<void> {
  const pace = { ...usualPace, ...wishes };
  await Promise.all(
    services.map((service) =>
      Promise.all([keepRunning(layout, service, signal, pace), endStalled(layout, service, signal, pace.stalledMs)]),
    ),
  );
}

async function keepRunning(layout: Layout, service: ServiceProcess, signal: AbortSignal, pace: Pace): Promise<void> {
  const { name } = service;
  forgetFault(layout, name);
  let quickEnds = 0;
  const adopted = findProcess(layout.run, name);
  if (adopted) await ended(adopted, signal);
  while (!signal.aborted) {
    const end = await runOnce(layout, service, signal, pace.steadyMs);
    if (signal.aborted) return;
    quickEnds = end.livedMs > pace.steadyMs ? 0 : quickEnds + 1;
    const staysDown = service.readyFile !== undefined && end.code !== null && needsOperator.has(end.code);
    const longest = end.code === null ? maxDelayMs : maxFailingDelayMs;
    const delayMs = Math.min(pace.firstDelayMs * 2 ** quickEnds, longest);
    if (staysDown || quickEnds >= reportedEnds) {
      const fault = { name, staysDown, ends: quickEnds, words: lastWords(end.logPath, end.logFrom) };
      reportFault(layout, fault);
      process.stderr.write(`${new Date().toISOString()} ${describeFault(fault)}\n`);
    }
    if (staysDown) return aborted(signal);
    await sleep(delayMs, signal);
  }
}

interface End {
  /** Exit code; null if a signal ended it, or it could not be started. */
  readonly code: number | null;
  readonly livedMs: number;
  /** Its output: a file, and the byte at which it begins. */
  readonly logPath: string;
  readonly logFrom: number;
}

/** Starts the process. Resolves when it has ended or could not be started. */
async function runOnce(layout: Layout, service: ServiceProcess, signal: AbortSignal, steadyMs: number): Promise<End> {
  if (service.readyFile) rmSync(service.readyFile, { force: true });
  const logPath = join(layout.logs, `${service.name}.log`);
  const log = openLog(logPath);
  const logFrom = fstatSync(log).size;
  const startedMs = performance.now();
  const gone = Promise.withResolvers<number | null>();
  try {
    // Detached into its own session, because a Ctrl-C in the terminal of `berth up` must not reach it.
    const child = spawn(service.command, [...service.args], {
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...inherited(), ...service.env },
      cwd: layout.data,
    });
    child.once("error", () => gone.resolve(null));
    child.once("exit", (code) => gone.resolve(code));
    if (child.pid !== undefined) rememberProcess(layout.run, service.name, child.pid);
  } catch {
    gone.resolve(null);
  } finally {
    closeSync(log);
  }
  const steady = setTimeout(() => forgetFault(layout, service.name), steadyMs);
  const code = await Promise.race([gone.promise, aborted(signal).then(() => null)]);
  clearTimeout(steady);
  return { code, livedMs: performance.now() - startedMs, logPath, logFrom };
}

/** The variables of the user's shell that a program needs to run. All others are dropped, because they may hold secrets. */
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

/** Resolves when a process that is not our child has ended. Polls, because the kernel reports an end only to the parent. */
async function ended(known: KnownProcess, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && isAlive(known)) await sleep(250, signal);
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true }),
  );
