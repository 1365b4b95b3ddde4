import type { DriverEvent, TaskToRun } from "@berth/plugins";

/** Root's agent runs nothing as root; another's can be nobody else. */
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
