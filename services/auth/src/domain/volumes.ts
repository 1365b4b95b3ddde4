import { AppError, invalidField } from "@berth/core";
import type { AuthUser, VolumeGrant, VolumeWish } from "@berth/plugins";
import { isCleanPath } from "./new-user.ts";

/** A volume on the site's list. `path` and `mount` may contain $USER, $UID and $HOME. */
export interface SiteVolume {
  readonly name: string;
  /** On the host. */
  readonly path: string;
  /** In the task. */
  readonly mount: string;
  readonly mode: "ro" | "rw";
}

/** The volumes that the user may ask for. Those whose template needs something that the user lacks are left out. */
export const offered = (site: readonly SiteVolume[], user: AuthUser): VolumeGrant[] =>
  site.flatMap((volume) => {
    const grant = grantOf(volume, user);
    return grant ? [grant] : [];
  });

/**
 * Resolves the requested volumes, in their order. A volume that the site marks `ro` is read-only even if the task asks for more. Throws `invalid`
 * UNKNOWN_VOLUME with the allowed names: silently leaving out a volume would cost the user a day.
 */
export function resolveVolumes(
  site: readonly SiteVolume[],
  user: AuthUser,
  wishes: readonly VolumeWish[],
): VolumeGrant[] {
  const onOffer = offered(site, user);
  const byName = new Map(onOffer.map((grant) => [grant.name, grant]));
  const targets = new Map<string, string>();
  return wishes.map(({ name, readOnly }) => {
    const grant = byName.get(name);
    if (!grant) throw unknownVolume(name, onOffer);
    const other = targets.get(grant.target);
    if (other !== undefined)
      throw invalidField(
        "volumes",
        `${other} and ${name} are both mounted at ${grant.target}; ask for one of them`,
        "VOLUMES_COLLIDE",
      );
    targets.set(grant.target, name);
    return readOnly ? { ...grant, readOnly: true } : grant;
  });
}

function unknownVolume(name: string, onOffer: readonly VolumeGrant[]): AppError {
  const names = onOffer.map((grant) => grant.name);
  const rule = names.length === 0 ? "this site offers you none" : `you may ask for ${names.join(", ")}`;
  return new AppError("invalid", "UNKNOWN_VOLUME", `volumes: no volume ${JSON.stringify(name)}: ${rule}`, {
    metadata: { field: "volumes", rule, volume: name, allowed: names.join(",") },
  });
}

function grantOf(volume: SiteVolume, user: AuthUser): VolumeGrant | undefined {
  const source = fill(volume.path, user);
  const target = fill(volume.mount, user);
  if (source === undefined || target === undefined) return undefined;
  return { name: volume.name, source, target, readOnly: volume.mode === "ro" };
}

/** Undefined if the user lacks a value for the template, or if the result is no normalised path. */
function fill(template: string, user: AuthUser): string | undefined {
  const filled = template.replaceAll(/\$(USER|UID|HOME)\b/g, (_, variable: string) =>
    variable === "USER" ? user.name : variable === "UID" ? String(user.uid) : user.home,
  );
  return isCleanPath(filled) ? filled : undefined;
}
