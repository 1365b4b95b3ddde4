import type { AuthPlugin } from "./auth.ts";
import { importPlugin } from "./import-plugin.ts";
import type { PluginLogger } from "./ranking.ts";

/** What an identity provider is given when it is made. */
export interface AuthPluginContext {
  /** Its own settings, as the site wrote them. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly logger: PluginLogger;
  /** Login name of the owner of a Berth API key; undefined if the key is unknown, revoked or expired. For providers without keys of their own. */
  ownerOfKey(key: string): Promise<string | undefined>;
}

/**
 * The identity provider of that name: one of `builtIn`, else a site's own module that exports `authPlugin(context): AuthPlugin`, see `importPlugin`. Throws AppError
 * `invalid` AUTH_PROVIDER_NOT_FOUND or AUTH_PROVIDER_INVALID, naming what is wrong.
 */
export async function loadAuth(
  name: string,
  builtIn: Readonly<Record<string, () => AuthPlugin | Promise<AuthPlugin>>>,
  context: AuthPluginContext,
): Promise<AuthPlugin> {
  const kind = {
    what: "identity provider",
    reason: "AUTH_PROVIDER" as const,
    exported: "authPlugin",
    builtIn: Object.keys(builtIn),
    methods: ["getName", "bindCredentials", "bindApi", "getUser", "getVolumes", "getQuotas", "canRun"] as const,
  };
  return (
    (Object.hasOwn(builtIn, name) ? builtIn[name] : undefined)?.() ?? importPlugin<AuthPlugin>(kind, name, context)
  );
}
