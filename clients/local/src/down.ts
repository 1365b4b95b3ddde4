import { existsSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findProcess, forgetProcess, isAlive, stopProcess } from "./processes.ts";
import type { KnownProcess } from "./processes.ts";
import type { Layout } from "./layout.ts";
import type { Progress } from "./progress.ts";
import { serviceNames } from "./services.ts";

const graceMs = 15_000;

/** Whether the supervisor or any service of the cluster runs. */
export const isUp = (layout: Layout): boolean =>
  ["supervisor", ...serviceNames].some((name) => findProcess(layout.run, name) !== undefined);

/**
 * Stops the processes of the cluster in the order of `serviceNames`, except those named in `keep`, and removes the sockets. Works without a supervisor. May be
 * repeated if the command died half-way.
 */
export async function takeDown(layout: Layout, keep: readonly string[], progress: Progress): Promise<void> {
  const supervisor = findProcess(layout.run, "supervisor");
  progress.step("stopping");
  if (supervisor) {
    // USR2 ends only the supervisor. It goes first, because it would restart what we stop.
    process.kill(supervisor.pid, "SIGUSR2");
    while (isAlive(supervisor)) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (const name of serviceNames) {
    if (keep.includes(name)) continue;
    progress.update(name);
    const known = findProcess(layout.run, name);
    if (known) await stopProcess(known, graceMs);
    forgetProcess(layout.run, name);
  }
  if (keep.length === 0) {
    await stopKeepers(layout);
    rmSync(layout.run, { recursive: true, force: true });
  }
  progress.done("stopped");
}

/** Ends the keepers of the process driver. Without this each would end by itself a while after its last task. */
async function stopKeepers(layout: Layout): Promise<void> {
  const folder = join(layout.data, "agent", "keepers");
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder)) {
    const path = join(folder, entry, "keeper.pid");
    if (!existsSync(path)) continue;
    const known = JSON.parse(readFileSync(path, "utf8")) as KnownProcess;
    if (isAlive(known)) await stopProcess(known, 2000);
  }
}
