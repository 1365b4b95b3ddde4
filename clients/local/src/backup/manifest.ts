import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "@berth/core";

/** A file of a backup. */
export interface BackupFile {
  /** Relative to the backup and to the data directory. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Content of a backup's `backup.json`. */
export interface Manifest {
  /** Version of the layout, now 1. An older Berth refuses a larger number. */
  readonly form: number;
  readonly clusterId: string;
  /** ISO 8601. */
  readonly madeAt: string;
  /** Whether storage and auth use MongoDB, whose data is not in the backup. */
  readonly mongo: boolean;
  readonly files: readonly BackupFile[];
}

export const manifestName = "backup.json";
const knownForm = 1;

/** Reads the manifest of a backup and verifies every file. Throws `invalid` BACKUP_UNREADABLE or BACKUP_DAMAGED, naming the file. */
export async function readBackup(dir: string): Promise<Manifest> {
  const manifest = parse(dir);
  for (const { path, bytes, sha256 } of manifest.files) {
    if (!/^[a-z0-9._-]+(\/[a-z0-9._-]+)?$/.test(path) || path.includes(".."))
      throw unreadable(dir, `${JSON.stringify(path)} is no file of a backup`);
    const found = await digestOf(join(dir, path)).catch(() => undefined);
    if (found?.bytes !== bytes || found.sha256 !== sha256)
      throw new AppError(
        "invalid",
        "BACKUP_DAMAGED",
        `${join(dir, path)} is ${found === undefined ? "missing" : "not what was saved"}; use another backup`,
        { metadata: { path } },
      );
  }
  return manifest;
}

/** Size and SHA-256 of a file. */
export async function digestOf(path: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    hash.update(chunk);
  }
  return { bytes, sha256: hash.digest("hex") };
}

function parse(dir: string): Manifest {
  let value: Partial<Manifest>;
  try {
    value = JSON.parse(readFileSync(join(dir, manifestName), "utf8")) as Partial<Manifest>;
  } catch {
    throw unreadable(dir, `it has no readable ${manifestName}`);
  }
  if (typeof value?.form !== "number" || value.form < 1) throw unreadable(dir, "it does not say its form");
  if (value.form > knownForm) throw unreadable(dir, "it was made by a newer Berth");
  if (typeof value.clusterId !== "string" || typeof value.madeAt !== "string" || !Array.isArray(value.files))
    throw unreadable(dir, `its ${manifestName} is not whole`);
  return value as Manifest;
}

const unreadable = (dir: string, why: string): AppError =>
  new AppError("invalid", "BACKUP_UNREADABLE", `${dir} is no backup of a Berth cluster: ${why}`);
