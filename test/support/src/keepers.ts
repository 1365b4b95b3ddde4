import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive } from "@berth/local";
import type { KnownProcess } from "@berth/local";

/** The processes that start a host's tasks and wait for them, as they are now; kill -9 ends them. They outlive their agent on purpose. */
export const keepersIn = (folder: string): KnownProcess[] =>
  !existsSync(folder)
    ? []
    : readdirSync(folder)
        .map((entry) => join(folder, entry, "keeper.pid"))
        .filter((file) => existsSync(file))
        .map((file) => JSON.parse(readFileSync(file, "utf8")) as KnownProcess)
        .filter(isAlive);

export function killKeepers(folder: string): void {
  for (const { pid } of keepersIn(folder)) process.kill(pid, "SIGKILL");
}

/** Kills the processes of a cluster's runs whose name ends so; all of its runs by default. */
export function killProcessesOf(data: string, nameEnd = ""): void {
  for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
      const run = /(?:^|\0)BERTH_RUN=([^\0]*)/.exec(environment)?.[1];
      if (run?.endsWith(nameEnd) && environment.includes(`BERTH_TASK_DIR=${data}/`))
        process.kill(Number(pid), "SIGKILL");
    } catch {
      // gone
    }
  }
}
