import type { MachineWatch } from "./process.ts";
import type { World } from "./world.ts";

/** What a world notes of each process on a host. */
export const watchMachine = (hostId: string, world: Pick<World, "say" | "invariants" | "used">): MachineWatch => ({
  began(process) {
    world.say(`${hostId} begins ${process.run.taskId}#${process.run.attempt}`);
    world.invariants.began(process);
  },
  isRunnable: (process) => world.invariants.isRunnable(process),
  ended({ run }) {
    world.say(`${hostId} ends ${run.taskId}#${run.attempt}`);
  },
  told({ run, end }) {
    if (end?.kind === "ended") world.used.set(`${run.taskId}#${run.attempt}`, end.usage.cpuMs ?? 0);
  },
});
