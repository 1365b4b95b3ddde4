import { createHash } from "node:crypto";
import { AppError, checkRange } from "@berth/core";
import { TaskSpec } from "@berth/contracts/types";
import type { Identity, RunSpec } from "@berth/contracts/types";
import type { StoredTask } from "../../ports/task-store.ts";

export type CheckedSpec = RunSpec & { readonly spec: TaskSpec; readonly identity: Identity };

export function checked({ task, number }: StoredTask): CheckedSpec {
  const runSpec = task.runSpec;
  if (!runSpec?.spec || !runSpec.identity || !runSpec.spec.resources) {
    throw new AppError("invalid", "SPEC_INCOMPLETE", "run_spec: spec, resources and identity are needed", {
      metadata: { field: "run_spec", rule: "must be complete" },
    });
  }
  if (runSpec.spec.array) checkRange(runSpec.spec.array);
  if (runSpec.spec.files.length > 0 && number === 0)
    throw new Error("files of a task must be in place before it is stored");
  return runSpec as CheckedSpec;
}

/** Tells whether two submits with one key wish the same; the order in which a map was sent is no difference. */
export function specHash(spec: TaskSpec): Buffer {
  const env = Object.fromEntries(Object.entries(spec.env).sort(([a], [b]) => (a < b ? -1 : 1)));
  return createHash("sha256")
    .update(TaskSpec.encode({ ...spec, env }).finish())
    .digest();
}
