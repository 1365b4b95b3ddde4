import { readClusterFile } from "./cluster-file.ts";
import { layoutOf } from "./layout.ts";
import { findProcess, forgetProcess, rememberProcess, stopProcess } from "./processes.ts";
import { clusterProcesses } from "./services.ts";
import { supervise } from "./supervisor.ts";

/** `node supervisor-main.ts DATA ROOT`: TERM ends the supervisor and the cluster, USR2 only the supervisor. Exits at once if another supervisor runs. */
const [dataDir, root] = process.argv.slice(2);
if (!dataDir || !root) throw new Error("usage: supervisor-main.ts DATA ROOT");
const layout = layoutOf(dataDir);
const cluster = readClusterFile(layout);
if (!cluster) throw new Error(`no cluster in ${dataDir}`);

if (!findProcess(layout.run, "supervisor")) {
  rememberProcess(layout.run, "supervisor", process.pid);
  const services = clusterProcesses(layout, cluster, root);
  const stop = new AbortController();
  let stopAll = false;
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      stopAll = true;
      stop.abort();
    });
  }
  process.on("SIGUSR2", () => stop.abort());
  process.on("SIGHUP", () => {});
  await supervise(
    layout,
    services,
    stop.signal,
    cluster.stalledMs === undefined ? {} : { stalledMs: cluster.stalledMs },
  );
  if (stopAll) {
    for (const { name } of services) {
      const known = findProcess(layout.run, name);
      if (known) await stopProcess(known, 10_000);
      forgetProcess(layout.run, name);
    }
  }
  forgetProcess(layout.run, "supervisor");
}
process.exit(0);
