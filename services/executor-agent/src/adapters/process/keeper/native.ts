import { constants } from "node:fs";
import koffi from "koffi";

/**
 * The few calls that Node lacks. Node's own spawn forks without vfork (0.5 ms of its loop and more), cannot give a child a process group, and lets nobody
 * else wait for children. Buffers stand for C's structures: larger than any platform's, and made once.
 */
const libc = koffi.load(null);
const posixSpawn = libc.func(
  "int posix_spawn(void *pid, const char *path, void *actions, void *attributes, const char **argv, const char **envp)",
);
const actionsInit = libc.func("int posix_spawn_file_actions_init(void *actions)");
const actionsDestroy = libc.func("int posix_spawn_file_actions_destroy(void *actions)");
const addOpen = libc.func(
  "int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, int mode)",
);
const addChdir = libc.func("int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)");
const attributesInit = libc.func("int posix_spawnattr_init(void *attributes)");
const setFlags = libc.func("int posix_spawnattr_setflags(void *attributes, short flags)");
const setGroup = libc.func("int posix_spawnattr_setpgroup(void *attributes, int group)");
const setDefaultSignals = libc.func("int posix_spawnattr_setsigdefault(void *attributes, void *signals)");
const setMask = libc.func("int posix_spawnattr_setsigmask(void *attributes, void *signals)");
const wait4 = libc.func("int wait4(int pid, void *status, int options, void *usage)");

const structBytes = 1024;
const actions = Buffer.alloc(structBytes);
const attributes = Buffer.alloc(structBytes);
const pidOut = new Int32Array(1);
const statusOut = new Int32Array(1);
const usageOut = Buffer.alloc(structBytes);

const spawnSetGroup = 0x02;
const spawnSetDefaultSignals = 0x04;
const spawnSetMask = 0x08;
attributesInit(attributes);
setFlags(attributes, spawnSetGroup | spawnSetDefaultSignals | spawnSetMask);
setGroup(attributes, 0);
const signals = Buffer.alloc(structBytes);
setMask(attributes, signals);
signals[1] = 1 << 4; // SIGPIPE (13), which Node ignores, and an ignored signal is inherited
setDefaultSignals(attributes, signals);

const outputFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;

export interface SpawnFiles {
  readonly workdir: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a program in a process group of its own; its pid, or minus the error's number. Returns when it was executed. */
export function spawn(path: string, argv: readonly string[], env: readonly string[], files: SpawnFiles): number {
  actionsInit(actions);
  addOpen(actions, 0, "/dev/null", constants.O_RDONLY, 0);
  addOpen(actions, 1, files.stdout, outputFlags, 0o600);
  addOpen(actions, 2, files.stderr, outputFlags, 0o600);
  addChdir(actions, files.workdir);
  const error = posixSpawn(pidOut, path, actions, attributes, [...argv, null], [...env, null]) as number;
  actionsDestroy(actions);
  return error === 0 ? pidOut[0]! : -error;
}

/** A child that ended. */
export interface Reaped {
  readonly pid: number;
  readonly code: number | undefined;
  readonly signal: number | undefined;
  readonly cpuMs: number;
  readonly maxResidentBytes: number;
}

const noHang = 1;

/** A child that has ended, if there is one. */
export function reap(): Reaped | undefined {
  const pid = wait4(-1, statusOut, noHang, usageOut) as number;
  if (pid <= 0) return undefined;
  const status = statusOut[0]!;
  const signal = status & 0x7f;
  return {
    pid,
    code: signal === 0 ? (status >> 8) & 0xff : undefined,
    signal: signal === 0 ? undefined : signal,
    cpuMs: Math.round(timeMs(0) + timeMs(16)),
    maxResidentBytes: Number(usageOut.readBigInt64LE(32)) * (process.platform === "darwin" ? 1 : 1024),
  };
}

const timeMs = (at: number): number => Number(usageOut.readBigInt64LE(at)) * 1000 + usageOut.readInt32LE(at + 8) / 1000;

/** Processes whose parents are gone become children of this one, not of init: a daemon cannot leave its run. */
export function adoptOrphans(): void {
  if (process.platform !== "linux") return;
  const prSetChildSubreaper = 36;
  libc.func("int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)")(
    prSetChildSubreaper,
    1,
    0,
    0,
    0,
  );
}
