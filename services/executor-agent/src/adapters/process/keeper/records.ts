import { closeSync, fdatasync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { RunRecord } from "./protocol.ts";

/** A line of the record: what became known of a run; z: it is settled. */
type Line = Partial<Omit<RunRecord, "k">> & { readonly k: string; readonly z?: 1 };

const names = ["runs.a", "runs.b"] as const;
const compactBytes = 4 * 1024 * 1024;
const retryMs = 1_000;

/**
 * The record of a keeper, from which the agent goes on if the keeper is killed. A line is written before a process is started, and when its end is known. There
 * is no sync per line: a write survives the keeper, and a machine that stops ends the processes too. Two files alternate, so that one of them is always whole.
 */
export class RecordFiles {
  readonly #files: [number, number];
  #at: 0 | 1 = 0;
  #bytes = 0;
  /** Lines, or the rest of one, that failed to be written. They are written before any later line. */
  #pending = Buffer.alloc(0);
  #unsynced = false;
  #syncing = false;
  #retry: NodeJS.Timeout | undefined;

  /** Opens both files. */
  constructor(dir: string) {
    this.#files = [openSync(join(dir, names[0]), "a", 0o600), openSync(join(dir, names[1]), "a", 0o600)];
  }

  /** Writes lines. Returns the system's error if they are not in the file; they stay pending and are retried. */
  write(lines: readonly Line[]): Error | undefined {
    if (lines.length === 0) return undefined;
    const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    return this.#flush();
  }

  /** Syncs to disk in the background. Only needed while no agent is connected, because the agent's journal syncs what it hears. */
  sync(): void {
    if (this.#syncing || !this.#unsynced) return;
    this.#syncing = true;
    this.#unsynced = false;
    fdatasync(this.#files[this.#at], (error) => {
      this.#syncing = false;
      if (error) {
        this.#unsynced = true;
        this.#retryLater();
      } else this.sync();
    });
  }

  /** Rewrites the record without settled runs, once it is large. */
  compact(kept: Iterable<RunRecord>, count: number): void {
    if (count > 0 && this.#bytes < compactBytes) return;
    if (count === 0 && this.#bytes < compactBytes / 16) return;
    const [old, next] = [this.#files[this.#at], this.#files[this.#at === 0 ? 1 : 0]];
    try {
      ftruncateSync(next, 0);
      const bytes = Buffer.from([...kept].map((line) => `${JSON.stringify(line)}\n`).join(""));
      // `kept` includes the pending lines.
      if (writeWhole(next, bytes).error) return ftruncateSync(next, 0);
      this.#at = this.#at === 0 ? 1 : 0;
      this.#bytes = bytes.length;
      this.#pending = Buffer.alloc(0);
      this.#unsynced = true;
      ftruncateSync(old, 0);
    } catch {
      // The earlier file is still whole. The next settle retries.
    }
  }

  close(): void {
    clearTimeout(this.#retry);
    for (const file of this.#files) closeSync(file);
  }

  #flush(): Error | undefined {
    const { written, error } = writeWhole(this.#files[this.#at], this.#pending);
    this.#bytes += written;
    this.#pending = this.#pending.subarray(written);
    if (written > 0) this.#unsynced = true;
    if (error) this.#retryLater();
    return error;
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      if (!this.#flush()) this.sync();
    }, retryMs);
  }
}

/** Writes all bytes, because one write may take only a part. */
function writeWhole(file: number, bytes: Buffer): { readonly written: number; readonly error: Error | undefined } {
  let written = 0;
  try {
    while (written < bytes.length) written += writeSync(file, bytes, written);
    return { written, error: undefined };
  } catch (error) {
    return { written, error: error instanceof Error ? error : new Error(String(error)) };
  }
}

/** All unsettled runs of a keeper's record. Skips half a line at the end. Throws if a file exists and cannot be read. */
export function readRecords(dir: string): Map<string, RunRecord> {
  const runs = new Map<string, RunRecord>();
  const settled = new Set<string>();
  for (const name of names) {
    for (const text of readText(join(dir, name)).split("\n")) {
      const line = parse(text);
      if (!line) continue;
      if (line.z) settled.add(line.k);
      runs.set(line.k, { o: "", r: "", m: 0, ...runs.get(line.k), ...line });
    }
  }
  for (const key of settled) runs.delete(key);
  return runs;
}

function parse(text: string): Line | undefined {
  if (!text.endsWith("}")) return undefined;
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}
