import { AppError } from "@berth/core";
import type { Driver, LogSink } from "./driver.ts";
import { importPlugin } from "./import-plugin.ts";
import type { PluginLogger } from "./ranking.ts";

/** What a driver is given when it is made. */
export interface DriverContext {
  /** Its own settings, as the site wrote them. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly logger: PluginLogger;
  /** Label for what the driver makes: it adopts nothing that has another cluster's label, or none. */
  readonly clusterId: string;
  readonly hostId: string;
  /** Changes with each boot of this machine. */
  readonly bootId: string;
  /** The agent's data directory; the driver may make a folder of its own name in it. */
  readonly dataDir: string;
  /** What the site lets tasks use on this host, where it says so; else the driver tells what there is. */
  readonly capacity: { readonly cpuMilli: number | undefined; readonly memoryBytes: number | undefined };
  /** Where a driver with `outputBy: "driver"` puts output. Rejects with AppError `invalid` CONFIG_INVALID where the settings do not say where that is. */
  logSink(): Promise<LogSink>;
}

const writers: readonly unknown[] = ["task", "driver", "none"];

/**
 * The driver of that name: one of `builtIn`, else a site's own module that exports `driver(context): Driver`, see `importPlugin`. Throws AppError `invalid`
 * DRIVER_NOT_FOUND or DRIVER_INVALID, naming what is wrong; what a built-in one throws comes through.
 */
export async function loadDriver(
  name: string,
  builtIn: Readonly<Record<string, () => Driver | Promise<Driver>>>,
  context: DriverContext,
): Promise<Driver> {
  const known = Object.hasOwn(builtIn, name) ? builtIn[name] : undefined;
  if (known) return known();
  const driver = await importPlugin<Driver>({ ...kind, builtIn: Object.keys(builtIn) }, name, context);
  const fault = (what: string): AppError =>
    new AppError("invalid", "DRIVER_INVALID", `driver ${name}: ${what}`, { metadata: { plugin: name } });
  const its: unknown = driver.getName();
  if (typeof its !== "string" || !/^[a-z][a-z0-9-]{0,31}$/.test(its))
    throw fault("getName() must return 1 to 32 of a-z, 0-9 and -, beginning with a letter");
  if (Object.hasOwn(builtIn, its)) throw fault(`getName() returns ${its}, the name of a built-in driver`);
  if (driver.outputBy !== undefined && !writers.includes(driver.outputBy))
    throw fault(`outputBy must be one of ${writers.join(", ")}`);
  return driver;
}

const kind = {
  what: "driver",
  reason: "DRIVER" as const,
  exported: "driver",
  methods: [
    "getName",
    "features",
    "open",
    "close",
    "capacity",
    "runTasks",
    "runAllTasks",
    "watchTasks",
    "killTask",
    "takeBack",
    "suspendTask",
    "resumeTask",
    "getMappingPort",
    "usage",
    "settle",
  ] as const satisfies readonly (keyof Driver)[],
};
