import { runKey } from "@berth/core";
import type { DriverEvent, TaskToRun } from "@berth/plugins";
import type { StartRun } from "./keeper/protocol.ts";

/** The start message of a run for its keeper. */
export function startRun({
  run,
  command,
  env,
  taskDir,
  workdir,
  stdoutPath,
  stderrPath,
  resources,
  controlDir,
  leaseUntilBootMs,
  lane,
}: TaskToRun): StartRun {
  return {
    k: runKey(run),
    c: command,
    e: env,
    // Messages do not name a script's path, because Berth chose it.
    ...(controlDir !== undefined && command[0]?.startsWith(controlDir) ? { n: "the script" } : {}),
    t: taskDir,
    ...(workdir === undefined ? {} : { d: workdir }),
    o: stdoutPath,
    r: stderrPath,
    m: resources.memoryBytes,
    ...(lane === undefined ? {} : { l: lane }),
    ...(leaseUntilBootMs === undefined ? {} : { u: leaseUntilBootMs }),
    ...(env["BERTH_ARRAY_DIR"] === undefined || env["BERTH_ARRAY_DIR"] === taskDir
      ? {}
      : { a: env["BERTH_ARRAY_DIR"] }),
  };
}

/** Why the agent, running as `self`, may not run the task as its user: an agent of root runs nothing as root, any other agent only runs its own user's tasks. */
export function identityRefusal({ run, identity: { uid, user } }: TaskToRun, self: number): DriverEvent | undefined {
  const at = new Date();
  if (self === 0 && uid === 0)
    return {
      kind: "failed",
      run,
      at,
      reason: { code: "ROOT_NOT_ALLOWED", message: "the process driver runs nothing as root" },
    };
  if (self !== 0 && uid !== self) {
    return {
      kind: "unable",
      run,
      at,
      reason: {
        code: "IDENTITY_NOT_POSSIBLE",
        message: `this agent runs as uid ${self} and cannot run tasks of ${user} (uid ${uid})`,
      },
    };
  }
  return undefined;
}
