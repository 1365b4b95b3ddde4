import { readFileSync, readdirSync } from "node:fs";

/** Sends a signal to a process or, negative, to a group; one that is gone is no error. */
export function sendTo(pid: number, signal: NodeJS.Signals | string): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}

/** Ends what descends from a run's process, whatever group it is in now. */
export function killTree(root: number, key: string): void {
  if (process.platform !== "linux") return;
  const strays = childrenOf(process.pid).filter((pid) => pid !== root && runOf(pid) === nameOf(key));
  for (const pid of [root, ...strays]) killDescendants(pid);
  for (const pid of strays) sendTo(pid, "SIGKILL");
}

/** From the top down: what loses its parent meanwhile is on the list already. */
export function killDescendants(root: number): void {
  const pending = childrenOf(root);
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    pending.push(...childrenOf(pid));
    sendTo(pid, "SIGKILL");
  }
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
