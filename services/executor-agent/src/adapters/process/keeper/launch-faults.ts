import { accessSync, closeSync, constants, openSync, readFileSync, readSync, readdirSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import type { FailureRecord, StartRun } from "./protocol.ts";

const errno: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  5: "EIO",
  7: "E2BIG",
  8: "ENOEXEC",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  20: "ENOTDIR",
  23: "ENFILE",
  24: "EMFILE",
  26: "ETXTBSY",
  28: "ENOSPC",
  30: "EROFS",
  36: "ENAMETOOLONG",
  40: "ELOOP",
  122: "EDQUOT",
};

/** Largest argument or variable that Linux takes, with its final NUL: 32 pages. */
const maxStringBytes = 131_072;
const firstLineBytes = 256;

const fault = (code: string, message: string): FailureRecord => ({ at: Date.now(), code, message });

/** A fault of the host, not of the task: another host may run it. */
export const hostFault = (code: string, message: string): FailureRecord => ({ ...fault(code, message), host: true });

/** The failure of a run whose program the system did not start, by error number. */
export function spawnFailure(run: StartRun, path: string, number: number): FailureRecord {
  const code = errno[number] ?? `error ${number}`;
  const name = run.n ?? run.c[0] ?? "";
  switch (code) {
    case "ENOENT":
      return missing(run, name, path);
    case "EACCES":
    case "EPERM":
      return fault("PERMISSION", `${name}: may not be run by this user`);
    case "E2BIG":
      return fault("ARGUMENTS_TOO_LONG", tooLong(run));
    case "EAGAIN":
      if (isAtOwnLimit()) return hostFault("USER_PROCESS_LIMIT", "its user may start no more processes on this host");
      return hostFault("NO_PROCESS", `this host starts no more processes: ${code}`);
    case "ENOMEM":
      return hostFault("NO_PROCESS", `this host starts no more processes: ${code}`);
    case "EMFILE":
    case "ENFILE":
      return hostFault("NO_DESCRIPTORS", `this host opens no more files: ${code}`);
    case "ENOSPC":
    case "EDQUOT":
    case "EROFS":
    case "EIO":
      return dirFault(code);
    default:
      return fault("START_FAILED", `${name}: could not be started: ${code}`);
  }
}

/** The failure of a run whose directory or output files cannot be made: by fault of the disk, or of its user. */
export function dirFault(code: string): FailureRecord {
  if (code === "EDQUOT") return hostFault("DISK_QUOTA", "its user's disk quota on this host is used up");
  const message = `the task's directory or output cannot be made or reached: ${code}`;
  return hostFault(usersOwn.has(code) ? "TASK_DIR_UNSAFE" : "TASK_DIR_FAILED", message);
}

/** Errors that only the owner of a directory can cause in it. */
const usersOwn: ReadonlySet<string> = new Set(["ENOTDIR", "EEXIST", "ELOOP", "EACCES", "EPERM"]);

/** Whether the user of this thread has reached its limit of processes and threads. */
function isAtOwnLimit(): boolean {
  if (process.platform !== "linux") return false;
  const limit = Number(/^Max processes +(\d+)/m.exec(readFileSync("/proc/thread-self/limits", "utf8"))?.[1] ?? NaN);
  const uid = process.geteuid?.();
  const used = readdirSync("/proc").reduce((sum, name) => sum + (Number(name) > 0 ? threadsOf(name, uid) : 0), 0);
  return used >= limit;
}

function threadsOf(pid: string, uid: number | undefined): number {
  try {
    const tasks = statSync(`/proc/${pid}/task`);
    return tasks.uid === uid ? tasks.nlink - 2 : 0;
  } catch {
    return 0; // ended
  }
}

/** The system reports ENOENT both for a missing program and for a missing interpreter in its #! line. */
function missing({ d, t }: StartRun, name: string, path: string): FailureRecord {
  const interpreter = interpreterOf(resolve(d ?? t, path));
  if (interpreter === undefined) return fault("COMMAND_NOT_FOUND", `${name}: no such program`);
  const message = `the first line of ${name} names the interpreter ${JSON.stringify(interpreter)}, which is not here`;
  return fault(
    "INTERPRETER_NOT_FOUND",
    interpreter.endsWith("\r") ? `${message}: its lines end with \\r\\n, and \\r counts as part of the name` : message,
  );
}

/** The interpreter in the `#!` line of a script; undefined if there is none. */
function interpreterOf(path: string): string | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const bytes = Buffer.alloc(firstLineBytes);
    const text = bytes.toString("utf8", 0, readSync(file, bytes, 0, firstLineBytes, 0));
    return /^#![ \t]*([^ \t\n]+)/.exec(text)?.[1];
  } catch {
    return undefined;
  } finally {
    closeSync(file);
  }
}

function tooLong({ c, e }: StartRun): string {
  const isTooLong = (text: string): boolean => Buffer.byteLength(text) >= maxStringBytes;
  const variable = Object.keys(e).find((name) => isTooLong(`${name}=${e[name]}`));
  if (variable !== undefined)
    return `the variable ${variable} is longer than this system takes (${maxStringBytes - 1} bytes)`;
  const argument = c.findIndex(isTooLong);
  if (argument >= 0) return `argument ${argument} is longer than this system takes (${maxStringBytes - 1} bytes)`;
  return "command and environment together are larger than this system takes";
}

/** Path of a command. A name with a slash is returned as it is, so it counts from the working directory. */
export function findCommand(name: string, path: string): string | undefined {
  if (name.includes("/")) return name;
  if (name === "") return undefined;
  for (const dir of path.split(delimiter)) {
    const candidate = join(dir || ".", name);
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return candidate;
    } catch {
      // the next one
    }
  }
  return undefined;
}
