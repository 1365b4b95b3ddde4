import { createHash } from "node:crypto";
import { homedir, tmpdir, userInfo } from "node:os";
import { join, resolve } from "node:path";

/** Directories and files of a cluster on this machine. */
export interface Layout {
  /** Root of everything durable. */
  readonly data: string;
  /** Sockets and pid files. The path is short, because the path of a Unix socket has at most 104 bytes. */
  readonly run: string;
  /** Credentials; mode 0700. */
  readonly secrets: string;
  /** Logs of the processes. */
  readonly logs: string;
  /** Server and key of the first user; how `berth` on this machine finds its cluster. */
  readonly clientFile: string;
  /** List of the processes that the supervisor runs. */
  readonly clusterFile: string;
}

/** Root: /var/lib/berth. Others: the user's state directory. */
export function defaultDataDir(env: NodeJS.ProcessEnv = process.env, uid = process.getuid?.()): string {
  if (env["BERTH_DATA"]) return resolve(env["BERTH_DATA"]);
  if (uid === 0) return "/var/lib/berth";
  if (process.platform === "darwin") return join(homedir(), "Library", "Application Support", "berth");
  return join(env["XDG_STATE_HOME"] ?? join(homedir(), ".local", "state"), "berth");
}

export function layoutOf(dataDir: string, env: NodeJS.ProcessEnv = process.env): Layout {
  const data = resolve(dataDir);
  const hash = createHash("sha256").update(data).digest("hex").slice(0, 8);
  return {
    data,
    run: join(runtimeRoot(env), `berth-${hash}`),
    secrets: join(data, "secrets"),
    logs: join(data, "log"),
    clientFile: join(data, "client.json"),
    clusterFile: join(data, "cluster.json"),
  };
}

function runtimeRoot(env: NodeJS.ProcessEnv): string {
  const { uid } = userInfo();
  if (uid === 0) return "/run";
  if (env["XDG_RUNTIME_DIR"]) return env["XDG_RUNTIME_DIR"];
  // macOS gives a long tmpdir; /tmp is short. The directory is made 0700 and its owner checked.
  return process.platform === "darwin" ? "/tmp" : tmpdir();
}
