import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { dirFault, findCommand, spawnFailure } from "./launch-faults.ts";
import { spawn } from "./native.ts";
import type { KeptFailure, StartRun } from "./protocol.ts";

const noEntry = -2;
const noExecFormat = -8;
/** When the set has more, it is cleared. */
const maxKnownDirs = 10_000;

/** Starts the program of a run as the calling user, and makes missing directories. Returns the pid, or why it failed. `known` caches directories that exist. */
export function launch(run: StartRun, known: Set<string>): number | KeptFailure {
  const { c, e, t, d, o, r } = run;
  try {
    makeDirs(run, known);
  } catch (error) {
    return dirFault(codeOf(error));
  }
  if (d !== undefined && !mayEnter(d))
    return fault("WORKDIR_NOT_FOUND", `${d} is not a directory here that this user may enter`);
  const env = Object.entries(e).map(([name, value]) => `${name}=${value}`);
  const [name = "", ...rest] = c;
  const path = findCommand(name, e["PATH"] ?? "");
  if (path === undefined) return fault("COMMAND_NOT_FOUND", `${name}: not found on PATH`);
  const files = { workdir: d ?? t, stdout: o, stderr: r };
  let pid = spawn(path, c, env, files);
  // A text without a #! line: run it with sh, as shells do.
  if (pid === noExecFormat) pid = spawn("/bin/sh", ["/bin/sh", path, ...rest], env, files);
  if (pid === noEntry && !existsSync(dirname(o))) {
    known.clear();
    makeDirs(run, known);
    pid = spawn(path, c, env, files);
  }
  return pid > 0 ? pid : spawnFailure(run, path, -pid);
}

/** Makes the task's directory, and once per array those that its elements share. */
function makeDirs({ t, o, r, a = t }: StartRun, known: Set<string>): void {
  for (const path of [dirname(o), dirname(r), a]) {
    if (path === t || known.has(path)) continue;
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (known.size > maxKnownDirs) known.clear();
    known.add(path);
  }
  mkdirSync(t, { recursive: true, mode: 0o700 });
}

function mayEnter(dir: string): boolean {
  try {
    accessSync(dir, constants.X_OK);
    return statSync(dir).isDirectory();
  } catch {
    return false;
  }
}

const fault = (code: string, message: string): KeptFailure => ({ at: Date.now(), code, message });

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);
