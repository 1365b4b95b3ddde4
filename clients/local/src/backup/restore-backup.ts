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

/** Lies in a data directory while a backup is put there: half of it must not be started. */
const markName = "restoring.json";
const logs = ["-wal", "-shm"];

/** Throws `precondition` RESTORE_UNFINISHED where a backup was put into a data directory only in part. */
export function refuseUnfinishedRestore(layout: Layout): void {
  const path = join(layout.data, markName);
  if (!existsSync(path)) return;
  const { from } = JSON.parse(readFileSync(path, "utf8")) as { from: string };
  throw new AppError(
    "precondition",
    "RESTORE_UNFINISHED",
    `a backup was put here only in part; repeat it: berth restore ${from} --data ${layout.data}`,
  );
}

/**
 * Puts a backup into a data directory whose cluster is down, or that is empty. What was there moves to `replaced-…` beside it. It may be repeated where it was cut off. Storage
 * begins a new epoch by itself, because its file is another one. Throws `precondition` CLUSTER_UP or OTHER_CLUSTER, `invalid` as `readBackup`.
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
    rmSync(mark, { force: true });
    writeDurably(mark, JSON.stringify({ from: source }));
    syncDirectory(layout.data);
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

/** The agent may run on with its tasks; it keeps no data of the cluster's. */
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

/** Whole or not at all. */
function putInPlace(from: string, to: string): void {
  const draft = `${to}.restoring`;
  rmSync(draft, { force: true });
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  writeDurably(draft, ""); // with the right mode before the content is there
  copyFileSync(from, draft);
  syncDirectory(draft);
  renameSync(draft, to);
  syncDirectory(dirname(to));
}

/** On another machine nats-server may be elsewhere. */
async function keepNats(layout: Layout, progress: Progress): Promise<void> {
  const cluster = readClusterFile(layout);
  if (!cluster || existsSync(cluster.natsServer)) return;
  const natsServer = await findNatsServer(layout, progress);
  writeFileWhole(layout.clusterFile, `${JSON.stringify({ ...cluster, natsServer }, null, 2)}\n`);
}
