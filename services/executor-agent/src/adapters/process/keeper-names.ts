import { createHash } from "node:crypto";
import type { TaskToRun } from "@berth/plugins";

/** A keeper's name is that of its directory, its socket and its cgroups. */
export const nameOf = (dir: string): string => dir.slice(dir.lastIndexOf("/") + 1);
export const shortBoot = (bootId: string): string => bootId.replaceAll(/[^0-9a-zA-Z]/g, "").slice(0, 8);

/** One keeper per identity, because a keeper does not change its groups. */
export const identityKey = ({ uid, gid, groups }: TaskToRun["identity"]): string =>
  `${uid}-${gid}${
    groups.length === 0
      ? ""
      : `-${createHash("sha256")
          .update(groups.toSorted((a, b) => a - b).join())
          .digest("hex")
          .slice(0, 8)}`
  }`;

/** As whom the tasks of a keeper run, by the name of its directory. */
export const uidOfKeeper = (dir: string): number => {
  const own = process.getuid?.();
  return own === 0 || own === undefined ? Number.parseInt(nameOf(dir), 10) : own;
};
