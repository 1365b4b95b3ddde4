import { readFileSync } from "node:fs";

/** What a busy cluster needs: each stream, task with output, and client takes some. */
const enough = 1_024;

/** How many files this process and its children may have open at once; undefined where the system does not say. Node raises the soft limit to the hard one at its start. */
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

/** A warning where the limit is too low for a cluster that is in use. */
export function openFilesWarning(limit = openFilesLimit()): string | undefined {
  if (limit === undefined || limit >= enough) return undefined;
  return `only ${limit} files may be open at once (hard limit of ulimit -n, LimitNOFILE in systemd); Berth needs ${enough} or more, or tasks and streams fail with EMFILE`;
}
