import { constants, readdirSync } from "node:fs";
import koffi from "koffi";
import { setresuidNumbers } from "./protocol.ts";
import type { KoffiFunc } from "koffi";

type CFunction = KoffiFunc<(...args: unknown[]) => unknown>;

/**
 * System calls that Node lacks. Node's own spawn forks without vfork, which blocks the event loop for 0.5 ms and more, and does not let other code wait for
 * children. The buffers stand for C structures: they are larger than on any platform, and allocated once.
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
const addCloseFrom = optional("int posix_spawn_file_actions_addclosefrom_np(void *actions, int from)");
const setDefaultSignals = libc.func("int posix_spawnattr_setsigdefault(void *attributes, void *signals)");
const setMask = libc.func("int posix_spawnattr_setsigmask(void *attributes, void *signals)");
const wait4 = libc.func("int wait4(int pid, void *status, int options, void *usage)");

const structBytes = 1024;
const actions = Buffer.alloc(structBytes);
const attributes = Buffer.alloc(structBytes);
const pidOut = new Int32Array(1);
const statusOut = new Int32Array(1);
const usageOut = Buffer.alloc(structBytes);

const spawnSetDefaultSignals = 0x04;
const spawnSetMask = 0x08;
const spawnSetSession = process.platform === "darwin" ? 0x400 : 0x80;
attributesInit(attributes);
setFlags(attributes, spawnSetSession | spawnSetDefaultSignals | spawnSetMask);
const signals = Buffer.alloc(structBytes);
setMask(attributes, signals);
signals[1] = 1 << 4; // SIGPIPE (13): Node ignores it, and children inherit that
setDefaultSignals(attributes, signals);

const outputFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;

export interface SpawnFiles {
  readonly workdir: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a program in a session of its own, with only descriptors 0, 1 and 2 open. Returns its pid, or minus the error number, once it was executed. */
export function spawn(path: string, argv: readonly string[], env: readonly string[], files: SpawnFiles): number {
  actionsInit(actions);
  addOpen(actions, 0, "/dev/null", constants.O_RDONLY, 0);
  addOpen(actions, 1, files.stdout, outputFlags, 0o600);
  addOpen(actions, 2, files.stderr, outputFlags, 0o600);
  addChdir(actions, files.workdir);
  addCloseFrom?.(actions, 3);
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

/** Makes this process a subreaper: descendants whose parents end become its children, not those of init. */
export function adoptOrphans(): void {
  if (process.platform !== "linux") return;
  const prSetChildSubreaper = 36;
  prctlOf()(prSetChildSubreaper, 1, 0, 0, 0);
}

const getDescriptorFlags = 1;
const closeOnExec = 1;

/** Closes inherited descriptors above 2. Node opens its own with FD_CLOEXEC, so those without it were inherited. */
export function closeInherited(): void {
  if (process.platform !== "linux") return;
  const fcntl = libc.func("int fcntl(int fd, int command)");
  const close = libc.func("int close(int fd)");
  for (const name of readdirSync("/proc/self/fd")) {
    const fd = Number(name);
    if (fd <= 2) continue;
    const flags = fcntl(fd, getDescriptorFlags) as number;
    if (flags >= 0 && (flags & closeOnExec) === 0) close(fd);
  }
}

/** Calls `act` as another user. */
export type AsUser = <T>(act: () => T) => T;

/**
 * For a process of root: changes the user of this thread for the time of `act`. A program that `act` starts cannot become root again, because execve
 * replaces the saved user id. During `act` processes of that user may signal this process. Undefined if the system has no such call.
 */
export function asUserOf(uid: number): AsUser | undefined {
  const number = process.platform === "linux" ? setresuidNumbers[process.arch] : undefined;
  if (number === undefined) return undefined;
  // The C library's setresuid changes all threads.
  const setresuid = libc.func("long syscall(long number, long real, long effective, long saved)");
  const prctl = prctlOf();
  const prCapAmbient = 47;
  const clearAll = 4;
  prctl(prCapAmbient, clearAll, 0, 0, 0);
  return (act) => {
    if (setresuid(number, uid, uid, 0) !== 0) throw new Error(`cannot become uid ${uid}`);
    try {
      return act();
    } finally {
      // What follows must not run as the wrong user.
      if (setresuid(number, 0, 0, 0) !== 0) process.abort();
    }
  };
}

function prctlOf(): CFunction {
  return libc.func("int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)");
}

/** A function of the C library; undefined if the library is too old. */
function optional(declaration: string): CFunction | undefined {
  try {
    return libc.func(declaration);
  } catch {
    return undefined;
  }
}
