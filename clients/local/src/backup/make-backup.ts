import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { AppError } from "@berth/core";
import { readClusterFile } from "../cluster-file.ts";
import type { Layout } from "../layout.ts";
import type { Progress } from "../progress.ts";
import { syncDirectory, writeDurably } from "./durable.ts";
import { digestOf, manifestName } from "./manifest.ts";
import type { BackupFile, Manifest } from "./manifest.ts";

/** Databases of services, below the data directory. Users are copied after tasks, so that the copy has the owner of each task. */
const databases = ["storage/storage.db", "auth/auth.db"] as const;
/** The cluster's other files, besides secrets. */
const others = ["cluster.json", "client.json", "volumes.json", "auth/token-key.pem"] as const;

/**
 * Saves databases, credentials and settings of this machine's cluster into a new directory below `into`, but not the files of tasks. The databases may be in use; each
 * copy is of one moment. The directory appears only when it is complete. Throws `precondition` NO_CLUSTER, `internal` BACKUP_FAILED.
 */
export async function makeBackup(
  layout: Layout,
  into: string,
  options: { readonly root: string; readonly now: Date; readonly progress: Progress },
): Promise<{ readonly dir: string; readonly manifest: Manifest }> {
  const { root, now, progress } = options;
  const cluster = readClusterFile(layout);
  if (!cluster) throw new AppError("precondition", "NO_CLUSTER", `there is no cluster in ${layout.data}`);
  const stamp = now.toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const dir = join(into, `berth-${stamp}`);
  const draft = `${dir}.unfinished`;
  if (existsSync(dir)) throw new AppError("conflict", "BACKUP_EXISTS", `${dir} is there already`);
  rmSync(draft, { recursive: true, force: true }); // left by a backup that was interrupted in this very second
  mkdirSync(draft, { mode: 0o700 }); // fails if another program has just made it
  try {
    const mongo = cluster.database !== undefined;
    const files: BackupFile[] = [];
    const add = async (path: string): Promise<void> => {
      chmodSync(join(draft, path), 0o600);
      files.push({ path, ...(await digestOf(join(draft, path))) });
    };
    for (const path of mongo ? [] : databases) {
      const from = join(layout.data, path);
      if (!existsSync(from)) throw failed(`${from} is missing`);
      mkdirSync(join(draft, dirname(path)), { recursive: true, mode: 0o700 });
      progress.step(`copying ${basename(path)}`);
      await copyDatabase(root, from, join(draft, path), progress);
      progress.done();
      await add(path);
    }
    const secrets = readdirSync(layout.secrets)
      .filter((name) => name !== "nats.conf") // generated at each start
      .map((name) => `secrets/${name}`);
    for (const path of [...others, ...secrets]) {
      const from = join(layout.data, path);
      if (!existsSync(from) || !statSync(from).isFile()) continue;
      mkdirSync(join(draft, dirname(path)), { recursive: true, mode: 0o700 });
      writeDurably(join(draft, path), readFileSync(from));
      await add(path);
    }
    const manifest: Manifest = { form: 1, clusterId: cluster.clusterId, madeAt: now.toISOString(), mongo, files };
    writeDurably(join(draft, manifestName), `${JSON.stringify(manifest, null, 2)}\n`);
    for (const each of new Set(["", ...files.map(({ path }) => dirname(path))])) syncDirectory(join(draft, each));
    renameSync(draft, dir);
    syncDirectory(into);
    return { dir, manifest };
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw error;
  }
}

async function copyDatabase(root: string, from: string, to: string, progress: Progress): Promise<void> {
  const args = ["--disable-warning=ExperimentalWarning", join(root, "libs/database/src/copy-main.ts")];
  const child = spawn(join(root, "node_modules/.bin/node"), [...args, from, to], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const whole = statSync(from).size;
  const timer = setInterval(() => {
    const copied = statSync(to, { throwIfNoEntry: false })?.size ?? 0;
    progress.update(`${Math.min(99, Math.floor((copied / whole) * 100))} %`);
  }, 500);
  try {
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) throw failed(said.trim() || `the copy of ${from} ended with ${code}`);
  } finally {
    clearInterval(timer);
  }
}

const failed = (why: string): AppError => new AppError("internal", "BACKUP_FAILED", `no backup was made: ${why}`);
