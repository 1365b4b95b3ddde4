import { join } from "node:path";
import { mongoUrl, readConfig, serverKeys } from "@berth/runtime";
import { z } from "zod";

const shape = {
  ...serverKeys,
  /** `mongodb://…/name`: the truth is there, and any number of copies may run on it. Without it: storage.db in the data directory, and exactly one. */
  database: mongoUrl().optional(),
  /** Addresses of auth, where hosts show certificates: it says which are revoked. */
  auth: z.string().optional(),
  /** For storage.db and its lock. */
  dataDir: z.string().min(1),
  /** Root of the tasks' files; an agent on the same machine is given the same. Default: `files` in the data directory. */
  filesDir: z.string().optional(),
  /** Set this to a new value after restoring a backup that storage cannot detect by itself. Each new value begins a new epoch. */
  newEpoch: z.string().default(""),
  /** Size of the largest file that may be added to a task's directory, in bytes. Default: 64 GiB. */
  maxFileBytes: z.coerce
    .number()
    .int()
    .min(1)
    .default(64 * 1024 ** 3),
  /** How long after its end an element of an array is folded, in milliseconds. */
  foldAfterMs: z.coerce.number().int().min(0).default(60_000),
};

/** Throws `invalid` CONFIG_INVALID with every fault. */
export function readStorageConfig(env: NodeJS.ProcessEnv) {
  const config = readConfig(shape, { env });
  return { ...config, filesDir: config.filesDir ?? join(config.dataDir, "files") };
}

export type StorageConfig = ReturnType<typeof readStorageConfig>;
