import { AppError } from "@berth/core";
import type { LoseRunsRequest, LoseRunsResponse } from "@berth/contracts/store";
import type { Database } from "@berth/database";
import type { Batch } from "./batch.ts";
import type { HostTable } from "./host-table.ts";

/** Gives up runs on a host that is lost. */
export function loseRuns(
  _db: Database,
  _batch: Batch,
  _hosts: HostTable,
  _epoch: string,
  request: LoseRunsRequest,
): LoseRunsResponse {
  throw new AppError("internal", "TODO", `loss of ${request.hostId}`);
}
