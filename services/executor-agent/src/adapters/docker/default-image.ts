import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { AppError } from "@berth/core";
import type { Endpoint, EngineClient } from "./engine-client.ts";
import { engineClient } from "./engine-client.ts";
import { jsonLines, pullOnce } from "./image-pulls.ts";
import { tarOf } from "./tar.ts";

const run = promisify(execFile);

/** Name of the image that Berth makes from a busybox of this machine. */
export const madeImage = "berth-busybox:1";
const known = [madeImage, "busybox:latest", "alpine:latest", "debian:latest"];
const pulled = "busybox:1.37.0";
const pullMs = 20_000;
const busyboxPaths = [
  "/bin/busybox",
  "/usr/bin/busybox",
  "/usr/lib/initramfs-tools/bin/busybox",
  "/usr/local/bin/busybox",
  "/bin/busybox-static",
];

/**
 * Finds an image with a shell for tasks that name none: one that the engine has; else a small one, pulled within 20 s; else one made from a static busybox of this
 * machine. As root on Debian it installs the busybox. Throws AppError `precondition` NO_IMAGE, which says what would help.
 */
export async function ensureDefaultImage(endpoint: Endpoint, progress: (text: string) => void): Promise<string> {
  const client = engineClient(endpoint);
  const signal = AbortSignal.timeout(180_000);
  for (const image of [...known, pulled]) if (await client.hasImage(image, signal)) return image;
  try {
    progress(`pulling image ${pulled}`);
    await pullOnce(client, pulled, progress, AbortSignal.timeout(pullMs));
    return pulled;
  } catch {
    progress(`image ${pulled} cannot be pulled; making one of this machine's busybox`);
  }
  const path = (await staticBusybox()) ?? (await installBusybox(progress));
  if (path === undefined) {
    throw new AppError(
      "precondition",
      "NO_IMAGE",
      "the engine has no image with a shell, none can be pulled, and this machine has no static busybox; try: docker pull busybox, or apt-get install busybox-static",
    );
  }
  return makeBusyboxImage(client, path, signal);
}

/** Makes the image from a static busybox, with one link per program. */
export async function makeBusyboxImage(client: EngineClient, path: string, signal: AbortSignal): Promise<string> {
  const { stdout } = await run(path, ["--list"]);
  const programs = stdout.split("\n").filter((name) => name !== "" && name !== "busybox");
  const tar = tarOf([
    ...["bin", "etc", "root", "usr", "var", "home"].map(
      (name) => ({ kind: "directory", name: `${name}/`, mode: 0o755 }) as const,
    ),
    { kind: "directory", name: "tmp/", mode: 0o1777 },
    { kind: "directory", name: "var/tmp/", mode: 0o1777 },
    { kind: "link", name: "usr/bin", target: "../bin" },
    { kind: "file", name: "bin/busybox", mode: 0o755, content: await readFile(path) },
    ...programs.map((name) => ({ kind: "link", name: `bin/${name}`, target: "busybox" }) as const),
    {
      kind: "file",
      name: "etc/passwd",
      mode: 0o644,
      content: Buffer.from("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    },
    { kind: "file", name: "etc/group", mode: 0o644, content: Buffer.from("root:x:0:\nnogroup:x:65534:\n") },
  ]);
  const [repo, tag] = madeImage.split(":") as [string, string];
  for await (const { error } of jsonLines<{ error?: string }>(await client.importImage(repo, tag, tar, signal))) {
    if (error !== undefined) throw new AppError("internal", "NO_IMAGE", `the engine did not take the image: ${error}`);
  }
  return madeImage;
}

/** A busybox that is linked statically, so it runs in an image without libraries. */
export async function staticBusybox(): Promise<string | undefined> {
  for (const path of busyboxPaths) if (existsSync(path) && isStatic(await readFile(path))) return path;
  return undefined;
}

/** An ELF file without a program interpreter is linked statically. */
function isStatic(elf: Buffer): boolean {
  if (elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2 || elf[5] !== 1) return false;
  const [at, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => elf.readUInt32LE(at + index * size)).every((type) => type !== 3);
}

async function installBusybox(progress: (text: string) => void): Promise<string | undefined> {
  if (process.platform !== "linux" || process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return undefined;
  progress("installing the package busybox-static");
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    await run("/usr/bin/apt-get", ["install", "-y", "--no-install-recommends", "busybox-static"], {
      timeout: 120_000,
      env,
    });
  } catch {
    return undefined;
  }
  return staticBusybox();
}
