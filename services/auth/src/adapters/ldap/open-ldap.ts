import type { AuthPlugin } from "@berth/plugins";
import type { Closing, Logger } from "@berth/runtime";
import type { SiteVolume } from "../../domain/volumes.ts";
import { openDirectory } from "./directory.ts";
import { ldapProvider } from "./ldap-provider.ts";
import { readLdapSettings } from "./settings.ts";

/** The provider `ldap` with the site's settings; throws `invalid` LDAP_SETTINGS. It connects at the first query, so a directory that is unreachable does not delay the start. */
export function openLdap(deps: {
  readonly config: Readonly<Record<string, unknown>>;
  readonly ownerOfKey: (key: string) => Promise<string | undefined>;
  readonly siteVolumes: () => readonly SiteVolume[];
  readonly closing: Closing;
  readonly logger: Logger;
}): AuthPlugin {
  const settings = readLdapSettings(deps.config);
  const directory = openDirectory(settings);
  deps.closing.add(() => directory.close());
  return ldapProvider({ ...deps, settings, directory, now: () => performance.now() });
}
