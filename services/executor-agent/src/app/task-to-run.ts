import { Network } from "@berth/contracts/types";
import type { RunSpec } from "@berth/contracts/types";
import { AppError } from "@berth/core";
import type { TaskToRun } from "@berth/plugins";
import { scriptCommand, taskEnvironment } from "../domain/environment.ts";
import type { HeldRun } from "../domain/held-run.ts";
import { leaseEnd } from "../domain/lease.ts";
import type { TaskFiles } from "../ports/task-files.ts";

export interface TaskToRunDeps {
  readonly files: Pick<TaskFiles, "writeScript">;
  readonly places: Pick<TaskFiles, "prepare">;
  /** Image of a task that names none. */
  readonly defaultImage: string;
  /** Whether volumes are mounted at their targets. Without a container, tasks use them at their source. */
  readonly isolated: boolean;
}

/** Makes a run's directories and script, and returns all that the driver needs to start it. Throws AppError if that is impossible. */
export function taskToRun(
  { files, places, defaultImage, isolated }: TaskToRunDeps,
  held: HeldRun,
  { spec, identity, mounts, traceParent }: RunSpec,
  lane?: string,
): TaskToRun {
  const { run, needs } = held;
  if (!spec || !identity || held.specId === undefined)
    throw new AppError("invalid", "SPEC_INCOMPLETE", "the assignment says not what to run, or as whom");
  const place = places.prepare(run, identity);
  const script = spec.script ? files.writeScript(held.specId, spec.script, identity) : undefined;
  return {
    run,
    identity,
    image: spec.image || defaultImage,
    command: script ? scriptCommand(spec.script, script.path) : spec.command,
    env: taskEnvironment({
      run,
      user: identity.user,
      asked: spec.env,
      resources: needs.resources,
      array: spec.array,
      taskDir: place.taskDir,
      arrayDir: place.arrayDir,
      traceParent,
      volumes: mounts.map(({ name, source, target }) => ({ name, path: isolated ? target : source })),
    }),
    workdir: spec.workdir || undefined,
    resources: needs.resources,
    mounts,
    network: spec.network === Network.BRIDGE ? "bridge" : "none",
    leaseUntilBootMs: leaseEnd(held),
    taskDir: place.taskDir,
    controlDir: script?.controlDir,
    stdoutPath: place.stdoutPath,
    stderrPath: place.stderrPath,
    ...(lane === undefined ? {} : { lane }),
  };
}
