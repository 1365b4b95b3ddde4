import { readFileSync } from "node:fs";

/** Descriptors that a busy cluster needs: each stream, each task with output and each client uses some. */
const enough = 1_024;

/** How many files a process here may have open; undefined if the system does not say. Node raises its soft limit to the hard one when it starts. */
export function openFilesLimit(
  limits: () => string = () => readFileSync("/proc/self/limits", "utf8"),
): number | undefined {
  try {
    const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits())?.[1];
    return hard === undefined ? undefined : hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard);
  } catch {
    return undefined;
  }
}

/** A warning if the limit is too low for a busy cluster. */
export function openFilesWarning(limit = openFilesLimit()): string | undefined {
  if (limit === undefined || limit >= enough) return undefined;
  return `only ${limit} files may be open at once (hard limit of ulimit -n, LimitNOFILE in systemd); Berth needs ${enough} or more, or tasks and streams fail with EMFILE`;
}
