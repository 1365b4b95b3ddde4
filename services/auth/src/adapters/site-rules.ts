import type { AuthPlugin } from "@berth/plugins";
import { offered, resolveVolumes } from "../domain/volumes.ts";
import type { SiteVolume } from "../domain/volumes.ts";

/** What the built-in providers have in common: volumes of the site's list, a middling priority without limits (as GO-Docker's own), and tasks of everybody who is enabled. */
export const siteRules = (
  siteVolumes: () => readonly SiteVolume[],
): Pick<AuthPlugin, "getVolumes" | "getQuotas" | "canRun"> => ({
  getVolumes: async (user, requested) =>
    requested ? resolveVolumes(siteVolumes(), user, requested) : offered(siteVolumes(), user),
  getQuotas: async () => ({ priority: 50, timeMs: 0, cpuMs: 0, memoryByteMs: 0 }),
  canRun: async ({ user }) => !user.disabled,
});
