import { readFileSync, readdirSync } from "node:fs";
import type { RunRecord } from "./protocol.ts";

/** Sends a signal to a process or, negative, to a group; one that is gone is no error. */
export function sendTo(pid: number, signal: NodeJS.Signals | string): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/** How far the keeper's start time of a run and the kernel's may differ: the kernel counts in hundredths of a second. */
const toleranceMs = 50;

/** Signals the descendants of a run's first process, whatever their group or session. */
export function signalTree(run: RunRecord, live: readonly RunRecord[], signal: NodeJS.Signals): void {
  if (process.platform !== "linux" || run.pid === undefined) return;
  const strays = straysOf(live).filter(({ owners }) => owners.length === 1 && owners[0]!.k === run.k);
  for (const pid of [run.pid, ...strays.map(({ pid: stray }) => stray)]) signalDescendants(pid, signal);
  for (const { pid } of strays) sendTo(pid, signal);
}

/** Signals parents before children, and lists the children first: they would be reparented when the parent ends. */
function signalDescendants(root: number, signal: NodeJS.Signals): void {
  const pending = childrenOf(root);
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    pending.push(...childrenOf(pid));
    sendTo(pid, signal);
  }
}

/** Sends SIGSTOP to every process of the run, twice: a child forked during the first pass is found by the second, because its parent is stopped by then. */
export function stopRun(run: RunRecord, live: readonly RunRecord[]): void {
  if (run.pid === undefined) return;
  sendTo(-run.pid, "SIGSTOP");
  signalTree(run, live, "SIGSTOP");
  signalTree(run, live, "SIGSTOP");
}

/** Sends SIGCONT to every process of the run. */
export function continueRun(run: RunRecord, live: readonly RunRecord[]): void {
  if (run.pid === undefined) return;
  signalTree(run, live, "SIGCONT");
  sendTo(-run.pid, "SIGCONT");
}

/** Kills processes that outlived their run, and their descendants. They are children of the keeper, because it is a subreaper. */
export function endStrays(live: readonly RunRecord[]): void {
  if (process.platform !== "linux") return;
  for (const { pid, owners } of straysOf(live)) {
    if (owners.length > 0) continue;
    signalDescendants(pid, "SIGKILL");
    sendTo(pid, "SIGKILL");
  }
}

/** A child of the keeper that is not the first process of a run, and the live runs that it may belong to. */
interface Stray {
  readonly pid: number;
  readonly owners: readonly RunRecord[];
}

/**
 * A stray belongs to the run whose session it is in; in a session of its own, to the run that its environment names. If it names none, as after `env -i`, it
 * may belong to any run that started before it, so it is spared while one of these lives.
 */
function straysOf(live: readonly RunRecord[]): Stray[] {
  const mains = new Map(live.map((run) => [run.pid, run]));
  return childrenOf(process.pid).flatMap((pid) => {
    if (mains.has(pid)) return [];
    const stat = statOf(pid);
    if (!stat) return [];
    const bySession = mains.get(stat.session);
    if (bySession) return [{ pid, owners: [bySession] }];
    const named = runOf(pid);
    const older = live.filter(({ boot }) => boot !== undefined && boot <= stat.startedBootMs + toleranceMs);
    return [{ pid, owners: named === undefined ? older : older.filter(({ k }) => nameOf(k) === named) }];
  });
}

function statOf(pid: number): { readonly session: number; readonly startedBootMs: number } | undefined {
  const text = readIfThere(`/proc/${pid}/stat`);
  if (text === "") return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { session: Number(fields[3]), startedBootMs: Number(fields[19]) * 10 };
}

function childrenOf(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
  return threads.flatMap((thread) =>
    readIfThere(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
  );
}

/** The run that the environment of a process names. */
function runOf(pid: number): string | undefined {
  return /(?:^|\0)BERTH_RUN=([^\0]*)/.exec(readIfThere(`/proc/${pid}/environ`))?.[1];
}

/** The same as `runName` of libs/core, repeated because a keeper loads as little code as it can. */
export function nameOf(key: string): string {
  const [epoch = "", task = "", attempt = ""] = key.split("/");
  return `berth-${epoch.replaceAll("-", "").slice(-8)}-${task}-${attempt}`;
}

/** Empty if the process has ended or is another user's. Throws if /proc cannot be read, as without free descriptors. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if (isGone(error)) return "";
    throw error;
  }
}

const gone: ReadonlySet<unknown> = new Set(["ENOENT", "ESRCH", "EACCES", "EPERM"]);

const isGone = (error: unknown): boolean => error instanceof Error && "code" in error && gone.has(error.code);
