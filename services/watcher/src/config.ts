import { defaultLossMarginMs } from "@berth/core";
import { busKeys, readConfig, serverKeys } from "@berth/runtime";
import { z } from "zod";

const shape = {
  ...serverKeys,
  ...busKeys,
  /** Address of storage. */
  storage: z.string().min(1),
  /** Between the end of a run's lease, when its host freezes it, and giving it up, in milliseconds. */
  lossMarginMs: z.coerce.number().int().min(1_000).default(defaultLossMarginMs),
  /** Days after its end at which a task's files are removed; fractions are days, too. */
  retentionDays: z.coerce.number().min(0).max(36_500).default(30),
  /** Days after its end at which the record of a task goes, too. */
  retentionRecordsDays: z.coerce.number().min(0).max(36_500).default(365),
};

/** Throws `invalid` CONFIG_INVALID with every fault. */
export const readWatcherConfig = (env: NodeJS.ProcessEnv) => readConfig(shape, { env });

const dayMs = 86_400_000;

/** Both ages in milliseconds, as storage wants them. */
export const agesOf = (config: { readonly retentionDays: number; readonly retentionRecordsDays: number }) => ({
  archiveAfterMs: Math.round(config.retentionDays * dayMs),
  deleteAfterMs: Math.round(config.retentionRecordsDays * dayMs),
});
