import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { AppError } from "@berth/core";
import { makeDirectories, readClusterFile, writeFileWhole } from "../cluster-file.ts";
import { findNatsServer } from "../find-nats.ts";
import { layoutOf } from "../layout.ts";
import type { Layout } from "../layout.ts";
import { takeLock } from "../lock.ts";
import { findProcess } from "../processes.ts";
import type { Progress } from "../progress.ts";
import { serviceNames } from "../services.ts";
import { syncDirectory, writeDurably } from "./durable.ts";
import { readBackup } from "./manifest.ts";
import type { Manifest } from "./manifest.ts";

/** Marks a data directory in which a restore has begun and not ended, because half a backup must not be started. */
const markName = "restoring.json";
const logs = ["-wal", "-shm"];

/** Throws `precondition` RESTORE_UNFINISHED if a restore into this data directory was interrupted. */
export function refuseUnfinishedRestore(layout: Layout): void {
  const path = join(layout.data, markName);
  if (!existsSync(path)) return;
  const { from } = JSON.parse(readFileSync(path, "utf8")) as { from: string };
  throw new AppError(
    "precondition",
    "RESTORE_UNFINISHED",
    `a restore of a backup was interrupted here; repeat it: berth restore ${from} --data ${layout.data}`,
  );
}

/**
 * Restores a backup into a data directory that is empty or whose cluster is down. Replaced files are moved to `replaced-…` below it. Repeat it if it was
 * interrupted. Storage then begins a new epoch, because its database is another file. Throws `precondition` CLUSTER_UP or OTHER_CLUSTER, `invalid` as `readBackup`.
 */
export async function restoreBackup(
  data: string,
  from: string,
  options: { readonly now: Date; readonly env: NodeJS.ProcessEnv; readonly progress: Progress },
): Promise<{ readonly manifest: Manifest; readonly replaced: string | undefined }> {
  const { now, env, progress } = options;
  const layout = layoutOf(data, env);
  const source = resolve(from);
  progress.step("checking the backup");
  const manifest = await readBackup(source);
  progress.done();
  makeDirectories(layout);
  const unlock = await takeLock(layout);
  try {
    refuseLive(layout);
    const known = readClusterFile(layout);
    if (known && known.clusterId !== manifest.clusterId)
      throw new AppError(
        "precondition",
        "OTHER_CLUSTER",
        `${layout.data} has the cluster ${known.clusterId}, and the backup is of ${manifest.clusterId}; choose another --data`,
      );
    progress.step("restoring");
    const mark = join(layout.data, markName);
    writeMark(mark, source);
    const replaced = join(layout.data, `replaced-${now.toISOString().replaceAll(/[-:]|\.\d+/g, "")}`);
    for (const { path } of manifest.files) {
      for (const each of [path, ...(path.endsWith(".db") ? logs.map((end) => path + end) : [])])
        moveAside(join(layout.data, each), join(replaced, each));
      putInPlace(join(source, path), join(layout.data, path));
    }
    await keepNats(layout, progress);
    rmSync(mark);
    syncDirectory(layout.data);
    progress.done("restored");
    return { manifest, replaced: existsSync(replaced) ? replaced : undefined };
  } finally {
    unlock();
  }
}

/** Throws if a process of the cluster runs. The agent may run, because it has no file of the backup open. */
function refuseLive(layout: Layout): void {
  const live = ["supervisor", ...serviceNames].filter((name) => name !== "agent" && findProcess(layout.run, name));
  if (live.length > 0)
    throw new AppError(
      "precondition",
      "CLUSTER_UP",
      `the cluster of ${layout.data} is up (${live.join(", ")}); first: berth down --keep`,
    );
}

function moveAside(path: string, to: string): void {
  if (!existsSync(path)) return;
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  renameSync(path, to);
}

/** Replaces the mark of an earlier restore by a rename, so that the directory is marked at every moment from the first restore to the end of the last one. */
function writeMark(mark: string, source: string): void {
  const draft = `${mark}.new`;
  rmSync(draft, { force: true });
  writeDurably(draft, JSON.stringify({ from: source }));
  renameSync(draft, mark);
  syncDirectory(dirname(mark));
}

/** Copies a file by way of a draft and a rename, so that no half of it is ever in place. */
function putInPlace(from: string, to: string): void {
  const draft = `${to}.restoring`;
  rmSync(draft, { force: true });
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  writeDurably(draft, ""); // mode 0600 before it has content
  copyFileSync(from, draft);
  syncDirectory(draft);
  renameSync(draft, to);
  syncDirectory(dirname(to));
}

/** Finds nats-server again if the backup is of another machine, where its path differs. */
async function keepNats(layout: Layout, progress: Progress): Promise<void> {
  const cluster = readClusterFile(layout);
  if (!cluster || existsSync(cluster.natsServer)) return;
  const natsServer = await findNatsServer(layout, progress);
  writeFileWhole(layout.clusterFile, `${JSON.stringify({ ...cluster, natsServer }, null, 2)}\n`);
}
