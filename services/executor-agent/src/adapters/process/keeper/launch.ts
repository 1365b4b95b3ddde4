import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { dirFault, findCommand, spawnFailure } from "./launch-faults.ts";
import { spawn } from "./native.ts";
import type { FailureRecord, StartRun } from "./protocol.ts";

const noEntry = -2;
const noExecFormat = -8;
/** When the set has more, it is cleared. */
const maxKnownDirs = 10_000;

/** Starts the program of a run as the calling user, and makes missing directories. Returns the pid, or why it failed. `known` caches directories that exist. */
export function launch(run: StartRun, known: Set<string>): number | FailureRecord {
  const { c, e, t, d, o, r } = run;
  try {
    makeDirs(run, known);
  } catch (error) {
    return dirFault(codeOf(error));
  }
  const closed = d === undefined ? undefined : workdirFault(d);
  if (closed) return closed;
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

/** Why the calling user cannot work in that directory; undefined where it can. */
function workdirFault(dir: string): FailureRecord | undefined {
  try {
    if (!statSync(dir).isDirectory()) return fault("WORKDIR_NOT_FOUND", `${dir} is not a directory`);
    accessSync(dir, constants.X_OK);
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR")
      return fault("WORKDIR_NOT_FOUND", `${dir}: there is no such directory on this host`);
    if (code !== "EACCES") return fault("WORKDIR_NOT_FOUND", `${dir} cannot be entered on this host: ${code}`);
    return fault(
      "WORKDIR_FORBIDDEN",
      `uid ${process.geteuid?.()}, as which it runs, may not enter ${firstClosed(dir)} on this host`,
    );
  }
}

/** The topmost directory on the way to `dir` that the calling user may not enter. */
function firstClosed(dir: string): string {
  const parts = dir.split("/");
  const ways = parts.map((_, at) => parts.slice(0, at + 1).join("/") || "/");
  return ways.find((way) => !mayEnter(way)) ?? dir;
}

function mayEnter(dir: string): boolean {
  try {
    accessSync(dir, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const fault = (code: string, message: string): FailureRecord => ({ at: Date.now(), code, message });

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);
