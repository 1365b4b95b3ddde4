import { readFileSync, readdirSync } from "node:fs";

/** Sends a signal to a process or, negative, to a group; one that is gone is no error. */
export function sendTo(pid: number, signal: NodeJS.Signals | string): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}

/** Signals what descends from a run's process, whatever group it is in now. */
export function signalTree(root: number, key: string, signal: NodeJS.Signals): void {
  if (process.platform !== "linux") return;
  const strays = childrenOf(process.pid).filter((pid) => pid !== root && runOf(pid) === nameOf(key));
  for (const pid of [root, ...strays]) signalDescendants(pid, signal);
  for (const pid of strays) sendTo(pid, signal);
}

/** From the top down: what loses its parent meanwhile is on the list already. */
export function signalDescendants(root: number, signal: NodeJS.Signals): void {
  const pending = childrenOf(root);
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    pending.push(...childrenOf(pid));
    sendTo(pid, signal);
  }
}

/** Makes all of a run stand still. What was being made meanwhile is found by the second look: its maker stands still by then. */
export function stopRun(root: number, key: string): void {
  sendTo(-root, "SIGSTOP");
  signalTree(root, key, "SIGSTOP");
  signalTree(root, key, "SIGSTOP");
}

/** Lets all of a run go on. */
export function continueRun(root: number, key: string): void {
  signalTree(root, key, "SIGCONT");
  sendTo(-root, "SIGCONT");
}

export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

/** The run that a process belongs to, by its environment. */
export function runOf(pid: number): string | undefined {
  try {
    return /(?:^|\0)BERTH_RUN=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, "utf8"))?.[1];
  } catch {
    return undefined;
  }
}

/** As libs/core makes it; said again here because a keeper imports as little as it can. */
export function nameOf(key: string): string {
  const [epoch = "", task = "", attempt = ""] = key.split("/");
  return `berth-${epoch.replaceAll("-", "").slice(-8)}-${task}-${attempt}`;
}
