import { closeSync, fsyncSync, openSync, writeFileSync } from "node:fs";

/** Creates a file of mode 0600 and syncs its content to disk. Throws if the file exists. */
export function writeDurably(path: string, content: string | Buffer): void {
  const fd = openSync(path, "wx", 0o600);
  try {
    writeFileSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Syncs a directory, or a file, to disk. New and renamed names survive a power failure only after a sync of their directory. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
