import { busKeys, readConfig, serverKeys } from "@berth/runtime";
import { z } from "zod";

const list = z.union([
  z.array(z.string()),
  z.string().transform((text) =>
    text
      .split(",")
      .map((word) => word.trim())
      .filter(Boolean),
  ),
]);

const shape = {
  ...serverKeys,
  ...busKeys,
  /** Address of storage. */
  storage: z.string().min(1),
  /** Address of auth. Without it, waiting tasks of disabled users are started like others. */
  auth: z.string().default(""),
  /** Ranking policy: fifo, a path, or the name of an installed package. */
  ranking: z.string().min(1).default("fifo"),
  /** Settings of the ranking policy. */
  rankingConfig: z.record(z.string(), z.unknown()).default({}),
  /** Hosts whose driver lacks one of these features get no tasks; comma-separated, such as `memory,identity`. */
  requiredFeatures: list.default([]),
  /** The most placements of one cycle. */
  maxPlacements: z.coerce.number().int().min(1).max(10_000).default(2_000),
  /** Life of the leader's lease, renewed at a third of it; a standby takes over about that long after the leader's end. */
  leaseTtlMs: z.coerce.number().int().min(300).max(60_000).default(3_000),
};

/** Throws `invalid` CONFIG_INVALID with every fault. */
export const readSchedulerConfig = (env: NodeJS.ProcessEnv) => readConfig(shape, { env });
