import { hostname } from "node:os";
import { isToken } from "@berth/contracts";
import { parseCpu, parseMemory } from "@berth/core";
import { busKeys, readConfig, serviceKeys, trustKeys } from "@berth/runtime";
import { z } from "zod";

const amount = (parse: (text: string) => number): z.ZodType<number | undefined> =>
  z
    .string()
    .transform((text, context) => {
      try {
        return parse(text);
      } catch (error) {
        context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
        return z.NEVER;
      }
    })
    .optional();

const shape = {
  ...serviceKeys,
  /** The agent adopts only runs whose label has this id. */
  clusterId: z.string().min(1),
  /** Name of this host in the cluster. */
  hostId: z
    .string()
    .refine(isToken, "must be 1 to 64 of [A-Za-z0-9_-]")
    .default(
      hostname()
        .replaceAll(/[^A-Za-z0-9_-]/g, "_")
        .slice(0, 64),
    ),
  /** What runs the tasks: `docker`, `process`, `sim`, or a module that exports `driver` (libs/plugins/src/load-driver.ts), as a path or an installed package. */
  driver: z.string().min(1),
  /** Settings of such a module. */
  driverConfig: z.record(z.string(), z.unknown()).default({}),
  /** Directory of journal, keepers and scripts. Tasks of other users must be able to pass through it. */
  dataDir: z.string().min(1),
  /** Directory of the keepers' sockets, whose paths must be short; default: the data directory. */
  runDir: z.string().optional(),
  /** Directory of storage's files, if storage is on this machine. Output is then written in its final place. */
  filesDir: z.string().optional(),
  /** Address of storage, to which output is sent otherwise. */
  storage: z.string().optional(),
  ...trustKeys,
  /** Addresses of the gateways, by which the host's certificate is renewed. */
  gateway: z.string().optional(),
  ...busKeys,
  /** Prefix of the reply subjects, if the bus account allows only one. */
  natsInbox: z.string().optional(),
  /** The docker driver's engine, as unix:///path or tcp://…; default: found as docker's own command line does. */
  engine: z.string().optional(),
  /** Image of tasks that name none. */
  defaultImage: z.string().default(""),
  /** Capacity for tasks, instead of all that the machine has. */
  capacityCpu: amount(parseCpu),
  capacityMemory: amount(parseMemory),
  /** Sim driver: milliseconds that a task takes whose command names no duration. */
  simMs: z.coerce.number().min(0).default(0),
  /** sim-main: number of hosts. */
  simHosts: z.coerce.number().int().min(1).max(10_000).default(1),
} satisfies z.ZodRawShape;

export type AgentConfig = ReturnType<typeof readAgentConfig>;

/** The agent's settings; throws `invalid` CONFIG_INVALID with all faults. */
export const readAgentConfig = (env: Readonly<Record<string, string | undefined>>) => readConfig(shape, { env });
