import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A process that cannot be mistaken for a later one with the same pid. */
export interface KnownProcess {
  readonly pid: number;
  /** When it started, as the system words it; distinguishes it from a later process with that pid. */
  readonly startedAt: string;
}

/** Start time of a process as the system words it; undefined if there is no such process, or only a zombie. */
export function startTimeOf(pid: number): string | undefined {
  if (process.platform === "linux") {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
    } catch {
      return undefined;
    }
  }
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || undefined;
  } catch {
    return undefined;
  }
}

export const isAlive = (known: KnownProcess): boolean => startTimeOf(known.pid) === known.startedAt;

const pidFile = (runDir: string, name: string): string => join(runDir, `${name}.pid`);

export function rememberProcess(runDir: string, name: string, pid: number): KnownProcess {
  const known = { pid, startedAt: startTimeOf(pid) ?? "gone" };
  writeFileSync(pidFile(runDir, name), JSON.stringify(known), { mode: 0o600 });
  return known;
}

/** The process of that name, if it is alive. */
export function findProcess(runDir: string, name: string): KnownProcess | undefined {
  try {
    const known = JSON.parse(readFileSync(pidFile(runDir, name), "utf8")) as KnownProcess;
    return isAlive(known) ? known : undefined;
  } catch {
    return undefined;
  }
}

export const forgetProcess = (runDir: string, name: string): void => rmSync(pidFile(runDir, name), { force: true });

/** Sends SIGTERM, and SIGKILL after `graceMs`; resolves when the process has ended. */
export async function stopProcess(known: KnownProcess, graceMs: number): Promise<void> {
  const until = Date.now() + graceMs;
  let killed = false;
  signal(known.pid, "SIGTERM");
  while (isAlive(known)) {
    if (!killed && Date.now() > until) {
      signal(known.pid, "SIGKILL");
      killed = true;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // gone already
  }
}
