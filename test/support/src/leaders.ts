import { until } from "./cluster.ts";
import type { CoreName, CoreProcesses } from "./core-processes.ts";

/** The value of a metric without labels, or the sum over its labels; 0 where it is not there. */
export async function metric(core: CoreProcesses, name: CoreName, of: string): Promise<number> {
  const lines = (await core.metricsOf(name)).split("\n");
  return lines
    .filter((line) => line.startsWith(`${of} `) || line.startsWith(`${of}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

/** Which of two schedulers leads, once one does. */
export async function leaderOf(core: CoreProcesses): Promise<{ leader: CoreName; standby: CoreName; term: number }> {
  const names: CoreName[] = ["scheduler", "scheduler2"];
  let found: { leader: CoreName; standby: CoreName; term: number } | undefined;
  await until(async () => {
    for (const leader of names.filter((name) => core.isAlive(name))) {
      const term = await metric(core, leader, "berth_scheduler_term");
      if (term > (found?.term ?? 0)) found = { leader, standby: names.find((name) => name !== leader)!, term };
    }
    return found !== undefined;
  }, "a scheduler to lead");
  return found!;
}
