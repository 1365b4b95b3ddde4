import type { Resources } from "@berth/core";
import type { Driver } from "@berth/plugins";
import type { Logger } from "@berth/runtime";
export interface ProcessDriverOptions { readonly dataDir: string; readonly runDir: string; readonly capacity: (machine: Resources) => Resources; readonly logger: Logger }
export function processDriver(_options: ProcessDriverOptions): Driver {
  throw new Error("being written");
}
