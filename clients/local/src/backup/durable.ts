import { closeSync, fsyncSync, openSync, writeFileSync } from "node:fs";

/** A new file of mode 0600 that is on disk when this returns. */
export function writeDurably(path: string, content: string | Buffer): void {
  const fd = openSync(path, "wx", 0o600);
  try {
    writeFileSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Names in a directory survive a loss of power only after this. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
