import { mongoUrl, readConfig, serverKeys } from "@berth/runtime";
import { z } from "zod";

function fromJson(text: string, context: z.RefinementCtx): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Reported below.
  }
  context.addIssue({ code: "custom", message: "must be a JSON object" });
  return z.NEVER;
}

const shape = {
  ...serverKeys,
  /** `mongodb://…/name`, as for storage. Users, keys and the key that signs tokens are then in the database `name_auth`, which any number of copies may share. */
  database: mongoUrl().optional(),
  /** Directory of auth.db and of the key that signs tokens. */
  dataDir: z.string().min(1),
  /** The provider of users: `local`, `ldap`, `system`, or a module that exports `authPlugin` (libs/plugins/src/load-auth.ts), as a path or an installed package. */
  authProvider: z.string().min(1).default("local"),
  /** Settings of `ldap` (adapters/ldap/settings.ts), `system` (adapters/system/system-provider.ts) or of such a module, as JSON. */
  authProviderConfig: z.union([z.string().transform(fromJson), z.record(z.string(), z.unknown())]).default({}),
  /** Directory of `berth init` with the keys that certify hosts; without it no machine can join. */
  authorityDir: z.string().min(1).optional(),
  /** How long a host's certificate lasts, in milliseconds; it is renewed when two thirds have passed. */
  hostCertificateMs: z.coerce
    .number()
    .int()
    .min(3_000)
    .max(365 * 86_400_000)
    .default(7 * 86_400_000),
  /** For hosts that join: name of the cluster, and addresses of nats-server and storage. */
  clusterId: z.string().optional(),
  natsUrl: z.string().optional(),
  storage: z.string().optional(),
  /** File of `berth init` with the first admin; read only while there is no admin. */
  firstAdmin: z.string().min(1).optional(),
  /** JSON list of the site's volumes: `[{name, path, mount?, mode}]`; none without it. */
  volumesFile: z.string().optional(),
};

/** Throws `invalid` CONFIG_INVALID with every fault. */
export const readAuthConfig = (env: NodeJS.ProcessEnv) => readConfig(shape, { env });

export type AuthConfig = ReturnType<typeof readAuthConfig>;
