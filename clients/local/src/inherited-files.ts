import { closeSync, readFileSync, readdirSync } from "node:fs";

/**
 * Closes every file that this process inherited open, but for 0, 1 and 2: children would inherit it too, down to the tasks of other users, and a lock held
 * through it would never be released. Node marks the first descriptors close-on-exec at its start and stops at the first gap; its own always are. On macOS
 * nothing is to be done, because Node passes only 0, 1 and 2 to a child there.
 */
export function closeInheritedFiles(): void {
  if (process.platform !== "linux") return;
  for (const name of readdirSync("/proc/self/fd")) {
    const fd = Number(name);
    if (fd > 2 && isPassedOn(fd)) closeSync(fd);
  }
}

const closeOnExec = 0o2000000;

function isPassedOn(fd: number): boolean {
  try {
    const flags = /^flags:\s+([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0;
  } catch {
    return false; // the descriptor that listed the directory, closed by now
  }
}
