import { runName, splitTaskId } from "@berth/core";
import type { Resources, Run } from "@berth/core";

/** What Berth adds to the environment that the user asked for. */
export interface EnvironmentOf {
  readonly run: Run;
  readonly user: string;
  readonly asked: Readonly<Record<string, string>>;
  readonly resources: Resources;
  readonly array: { readonly first: number; readonly last: number; readonly step: number } | undefined;
  readonly taskDir: string;
  readonly arrayDir: string;
  readonly traceParent: string;
  /** Where the task finds each named volume. */
  readonly volumes: readonly { readonly name: string; readonly path: string }[];
}

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Variables of Berth override the user's; HOME, PATH and USER are only defaults. */
export function taskEnvironment({
  run,
  user,
  asked,
  resources,
  array,
  taskDir,
  arrayDir,
  traceParent,
  volumes,
}: EnvironmentOf): Record<string, string> {
  const { index } = splitTaskId(run.taskId);
  const env: Record<string, string> = {
    PATH: path,
    HOME: taskDir,
    USER: user,
    ...asked,
    BERTH_RUN: runName(run),
    BERTH_TASK_ID: run.taskId,
    BERTH_ATTEMPT: String(run.attempt),
    BERTH_TASK_DIR: taskDir,
    BERTH_ARRAY_DIR: arrayDir,
    BERTH_CPUS: String(resources.cpuMilli / 1000),
    BERTH_MEMORY_BYTES: String(resources.memoryBytes),
    GODOCKER_JID: run.taskId,
    GODOCKER_PWD: taskDir,
    GODOCKER_HOME: taskDir,
  };
  for (const { name, path: place } of volumes)
    env[`BERTH_VOLUME_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`] = place;
  if (traceParent) env["TRACEPARENT"] = traceParent;
  if (index !== undefined && array) {
    const values = { ID: index, FIRST: array.first, LAST: array.last, STEP: array.step };
    env["BERTH_ARRAY_INDEX"] = String(index);
    for (const [name, value] of Object.entries(values)) {
      if (name !== "ID") env[`BERTH_ARRAY_${name}`] = String(value);
      env[`GODOCKER_TASK_${name}`] = String(value);
      env[`GOGOCKER_TASK_${name}`] = String(value); // GO-Docker's own spelling, which scripts rely on
    }
  }
  return env;
}

/** The command that runs a script: the file itself if it has a #! line, which the kernel reads; else a shell. */
export const scriptCommand = (script: string, scriptPath: string): string[] =>
  script.startsWith("#!") ? [scriptPath] : ["/bin/sh", scriptPath];
