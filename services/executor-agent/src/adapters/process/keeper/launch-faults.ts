import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { KeptFailure } from "./protocol.ts";

const errno: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  7: "E2BIG",
  8: "ENOEXEC",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  20: "ENOTDIR",
  26: "ETXTBSY",
};

/** What the system's refusal to start a program means for its task. */
export function spawnFailure(
  name: string,
  number: number,
  fail: (code: string, message: string, host?: true) => KeptFailure,
): KeptFailure {
  const code = errno[number] ?? `error ${number}`;
  switch (code) {
    case "ENOENT":
      return fail("COMMAND_NOT_FOUND", `${name}: no such program, or what its #! line names is missing`);
    case "EACCES":
    case "EPERM":
      return fail("PERMISSION", `${name}: may not be run by this user`);
    case "E2BIG":
      return fail("ARGUMENTS_TOO_LONG", "command and environment are larger than this system takes");
    case "EAGAIN":
    case "ENOMEM":
      return fail("NO_PROCESS", `this host starts no more processes: ${code}`, true);
    default:
      return fail("START_FAILED", `${name}: could not be started: ${code}`);
  }
}

/** Where a command is; what has a slash is taken as it is, so that the working directory counts. */
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
