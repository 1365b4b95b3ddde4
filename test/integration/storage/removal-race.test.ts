import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskFileStore } from "@berth/storage";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const isRoot = process.getuid?.() === 0;
const ann = { uid: 20_001, gid: 20_001 };
const victims = 4_000;
const rounds = 20;

/** Exchanges each directory of a tree for a link to elsewhere and back, as fast as it can, beneath a directory that it holds open. */
const racer = `
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.setgid(${ann.gid}); os.setuid(${ann.uid})
os.chdir(sys.argv[1])
for n in range(20):
    os.mkdir(f"d{n}")
    os.symlink(sys.argv[2], f"l{n}")
    for f in range(20): open(f"d{n}/f{f}", "w").close()
print("ready", flush=True)
pairs = [(f"d{n}".encode(), f"l{n}".encode()) for n in range(20)]
while True:
    for a, b in pairs:
        libc.renameat2(-100, a, -100, b, 2)
`;

describe.runIf(isRoot && process.platform === "linux")("removal of a task's files", () => {
  let dir: string;
  let racers: ChildProcess[];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "berth-race-"));
    chmodSync(dir, 0o711);
    racers = [];
  });
  afterEach(() => {
    for (const each of racers) each.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  });

  it("touches nothing elsewhere while the user exchanges directories for links", async () => {
    const elsewhere = join(dir, "elsewhere");
    mkdirSync(elsewhere);
    for (let n = 0; n < victims; n++) writeFileSync(join(elsewhere, `f${n}`), "");
    const aside: string[] = [];
    const files = diskFileStore(join(dir, "files"), { onUnremovable: (path) => aside.push(path) });
    for (let round = 1; round <= rounds; round++) {
      const id = String(round);
      await files.createTaskDir(id, [], ann);
      const python = spawn("python3", ["-c", racer, files.getTaskDir(id), elsewhere], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      racers.push(python);
      await new Promise((resolve) => python.stdout.once("data", resolve));
      await files.clean(id);
      python.kill("SIGKILL");
      expect(readdirSync(elsewhere)).toHaveLength(victims);
      expect(readdirSync(join(dir, "files/0"))).toEqual([]);
    }
    expect(aside).toEqual([]);
  }, 120_000);
});
