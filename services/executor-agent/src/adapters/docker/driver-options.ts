import type { Resources } from "@berth/core";
import type { LogSink } from "@berth/plugins";
import type { Logger } from "@berth/runtime";
import type { ContainerSite } from "./container-spec.ts";
import type { Engine } from "./engine.ts";
import type { LogPositions } from "./output-note.ts";

export interface DockerDriverOptions {
  readonly engine: Engine;
  readonly clusterId: string;
  readonly sink: LogSink;
  readonly positions: LogPositions;
  readonly logger: Logger;
  /** Containers created and started at once; 4 is best on 2 processors, and 16 worse than 2. */
  readonly startConcurrency?: number;
  /** Of the engine's machine, kept from tasks. */
  readonly reserve?: Resources;
  /** For tasks that name none. */
  readonly defaultImage: string;
  /** Processes and threads of one task. */
  readonly pidsLimit?: number;
  /** Output that the engine keeps for a time without an agent, by task. */
  readonly logBuffer?: ContainerSite["logBuffer"];
  /** When the engine's machine was booted; else this machine's boot where the engine is local. */
  readonly bootedAt?: Date;
}
