import { existsSync, statSync } from "node:fs";
import { connect } from "node:net";
import type { Layout } from "./layout.ts";
import { findProcess, stopProcess } from "./processes.ts";
import type { ServiceProcess } from "./services.ts";
import { sleep } from "./sleep.ts";

/** Far longer than a loaded machine keeps a process from its turn, and well within the margin after which lost runs are given up. */
export const defaultStalledMs = 45_000;
/** Limit during a start, which may block the event loop for long, for instance to migrate a large database. */
const startingMs = 600_000;
const checksPerStall = 9;

/**
 * Kills a process that gave no sign of life for `stalledMs` because it was stopped or hangs; the supervisor then restarts it. Time in which this process did
 * not run either does not count, because the machine slept or is overloaded.
 */
export async function endStalled(
  layout: Layout,
  service: ServiceProcess,
  signal: AbortSignal,
  stalledMs: number,
): Promise<void> {
  const { name, lifeSign, readyFile } = service;
  const checkEveryMs = stalledMs / checksPerStall;
  let lastSign = "";
  let pid: number | undefined;
  let sinceMs = performance.now();
  let checkedMs = sinceMs;
  while (!signal.aborted) {
    await sleep(checkEveryMs, signal);
    const known = findProcess(layout.run, name);
    const sign = known === undefined ? "" : await signOf(lifeSign, checkEveryMs);
    const now = performance.now();
    const hadNoTurn = now - checkedMs > 4 * checkEveryMs;
    if (sign !== lastSign || known?.pid !== pid || hadNoTurn) sinceMs = now;
    [lastSign, pid, checkedMs] = [sign, known?.pid, now];
    const isReady = readyFile === undefined || existsSync(readyFile);
    const limitMs = isReady ? stalledMs : Math.max(startingMs, stalledMs);
    if (known === undefined || signal.aborted || now - sinceMs < limitMs) continue;
    process.stderr.write(
      `${new Date().toISOString()} ${name} (pid ${known.pid}) gave no sign of life for ${Math.round(limitMs / 1000)} s: ending it\n`,
    );
    await stopProcess(known, 0);
    sinceMs = performance.now();
  }
}

/** A value that changes whenever the process shows a sign of life. */
async function signOf(lifeSign: ServiceProcess["lifeSign"], withinMs: number): Promise<string> {
  if ("heartbeatFile" in lifeSign)
    return String(statSync(lifeSign.heartbeatFile, { throwIfNoEntry: false })?.mtimeMs ?? "");
  return (await sendsGreeting(lifeSign.greetingPort, withinMs)) ? String(performance.now()) : "silent";
}

/**
 * Whether a server on this machine sends a greeting to a new connection, as nats-server does. A connection alone proves nothing, because the kernel accepts it
 * even for a stopped process.
 */
function sendsGreeting(port: number, withinMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const settle = (greeted: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(greeted);
    };
    const timer = setTimeout(() => settle(false), withinMs);
    socket.once("data", () => settle(true));
    socket.once("error", () => settle(false));
    socket.once("close", () => settle(false));
  });
}
