import { defaultHostLeaseMs, minHostLeaseMs } from "@berth/core";
import { readConfig, serverKeys } from "@berth/runtime";
import { z } from "zod";

const days = 86_400_000;

const shape = {
  /** `listen` is the address of the public API. */
  ...serverKeys,
  /** Addresses of the other services; several with commas. */
  storage: z.string().min(1),
  auth: z.string().min(1),
  scheduler: z.string().min(1),
  /** Only for `status`. */
  watcher: z.string().optional(),
  /** Time limit of a task that names none, in milliseconds. */
  timeLimitMs: z.coerce
    .number()
    .int()
    .min(1000)
    .max(365 * days)
    .default(7 * days),
  /** Time between TERM and KILL of a task that names none, in milliseconds. */
  graceMs: z.coerce.number().int().min(1).max(3_600_000).default(10_000),
  /**
   * Default lease in milliseconds for tasks that ask to be retried or to fail when their host is lost: how long a run continues without an answer to its host.
   */
  hostLeaseMs: z.coerce
    .number()
    .int()
    .min(minHostLeaseMs)
    .max(7 * days)
    .default(defaultHostLeaseMs),
  /** Most open streams per user at this gateway. */
  maxStreams: z.coerce.number().int().min(1).default(200),
  /** Most connections per client address. Clients behind one proxy or NAT share it. */
  maxConnectionsPerAddress: z.coerce.number().int().min(1).default(1_000),
  /** How long a resolved user or volume is cached, in milliseconds. */
  resolveTtlMs: z.coerce.number().int().min(0).default(3_000),
};

/** Throws `invalid` CONFIG_INVALID with every fault. */
export const readGatewayConfig = (env: NodeJS.ProcessEnv) => readConfig(shape, { env });
