import { readConfig, serviceKeys } from "@berth/runtime";
import { z } from "zod";

const shape = {
  ...serviceKeys,
  /** Where gRPC health is served: `127.0.0.1:0` or `unix:/path`. */
  listen: z.string().default("127.0.0.1:0"),
  /** What services show each other. */
  clusterSecret: z.string().min(16),
  /** Address of storage. */
  storage: z.string().min(1),
  natsUrl: z.string().min(1),
  natsUser: z.string().min(1),
  natsPassword: z.string().min(1),
  /** Days after its end at which a task's files are removed; fractions are days, too. */
  retentionDays: z.coerce.number().min(0).max(36_500).default(30),
  /** Days after its end at which the record of a task goes, too. */
  retentionRecordsDays: z.coerce.number().min(0).max(36_500).default(365),
};

/** Throws `invalid` CONFIG_INVALID with every fault. */
export const readWatcherConfig = (env: NodeJS.ProcessEnv) => readConfig(shape, { env });
