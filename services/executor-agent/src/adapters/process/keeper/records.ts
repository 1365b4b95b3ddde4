import { closeSync, fdatasync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { KeptRun } from "./protocol.ts";

/** A line of the record: what became known of a run; z: it is settled. */
type Line = Partial<Omit<KeptRun, "k">> & { readonly k: string; readonly z?: 1 };

const names = ["runs.a", "runs.b"] as const;
const compactBytes = 4 * 1024 * 1024;

/**
 * What a keeper knows, for when it is killed. Lines are written before a process is started and as soon as its end is known; a write survives the keeper, and
 * a lost machine loses its processes too. Two files take turns, so that old lines go without a moment in which nothing is whole.
 */
export class RecordFiles {
  readonly #files: [number, number];
  #at: 0 | 1 = 0;
  #bytes = 0;
  #unsynced = false;
  #syncing = false;

  /** Opens them, before privileges are given up: tasks cannot reach what their keeper holds open. */
  constructor(dir: string) {
    this.#files = [openSync(join(dir, names[0]), "a", 0o600), openSync(join(dir, names[1]), "a", 0o600)];
  }

  write(lines: readonly Line[]): void {
    if (lines.length === 0) return;
    this.#bytes += writeSync(this.#files[this.#at], lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    this.#unsynced = true;
  }

  /** Puts what was written on disk, in the background. The agent's journal does it while it listens; alone, the keeper has to. */
  sync(): void {
    if (this.#syncing || !this.#unsynced) return;
    this.#syncing = true;
    this.#unsynced = false;
    fdatasync(this.#files[this.#at], () => {
      this.#syncing = false;
      this.sync();
    });
  }

  /** Leaves out what is settled, once that is much. */
  compact(kept: Iterable<KeptRun>, count: number): void {
    if (count > 0 && this.#bytes < compactBytes) return;
    if (count === 0 && this.#bytes < compactBytes / 16) return;
    const old = this.#files[this.#at];
    this.#at = this.#at === 0 ? 1 : 0;
    ftruncateSync(this.#files[this.#at], 0);
    this.#bytes = 0;
    this.write([...kept]);
    ftruncateSync(old, 0);
  }

  close(): void {
    for (const file of this.#files) closeSync(file);
  }
}

/** All unsettled runs of a keeper's record, whether or not it lives; half a line at an end is left out. */
export function readRecords(dir: string): Map<string, KeptRun> {
  const runs = new Map<string, KeptRun>();
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
  } catch {
    return "";
  }
}
