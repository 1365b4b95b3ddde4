import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { RunCgroup, homeName, removeCgroupDir } from "./keeper/cgroup.ts";
import { canStartAsUser } from "./keeper/protocol.ts";
import type { CgroupPlace } from "./keeper/protocol.ts";

/** The cgroups of this host's runs: one directory per keeper, and in it one per run. */
export interface HostCgroups {
  /** Whether the kernel holds runs to their memory limit. */
  readonly limitsMemory: boolean;
  /** The directories of a keeper. */
  placeOf(keeper: string): CgroupPlace;
  /** Creates the directories of a keeper. Throws the system's error. */
  make(keeper: string): CgroupPlace;
  /** Kills processes that a keeper started but had not yet moved into the cgroup of their run when it died. */
  endUnsorted(keeper: string): void;
  /** Removes the directories of a keeper that are empty. */
  remove(keeper: string): void;
  /** Removes the empty directories of all other keepers. */
  keepOnly(keepers: readonly string[]): void;
}

/** One hierarchy: its directory for this agent's keepers, and the agent's own. */
interface Hierarchy {
  readonly base: string;
  readonly own: string;
}

/** Which cgroups an agent may make: version 1 where the freezer is one of its hierarchies, else version 2; undefined where it may make none. */
export function findCgroups(dataDir: string): HostCgroups | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0 || !canStartAsUser(process.arch)) return undefined;
  const mine = createHash("sha256").update(dataDir).digest("hex").slice(0, 12);
  const mounts = readMounts();
  const own = readOwn();
  const open = (name: string): Hierarchy | undefined => {
    const mount = mounts.get(name);
    const path = own.get(name);
    if (!mount || path === undefined) return undefined;
    const ownDir = join(
      mount.at,
      mount.root !== "/" && path.startsWith(mount.root) ? path.slice(mount.root.length) : path,
    );
    // With version 2 a cgroup that has processes, like the agent's, cannot limit its children. So the keepers' directory is its sibling.
    const base = join(name === "" && ownDir !== mount.at ? dirname(ownDir) : ownDir, "berth-runs", mine);
    try {
      mkdirSync(base, { recursive: true });
      return { base, own: ownDir };
    } catch {
      return undefined;
    }
  };
  const freezer = open("freezer");
  if (freezer) return version1(freezer, open("memory"), open("cpuacct"));
  const unified = open("");
  return unified && version2Cgroups(unified.base);
}

function version1(freezer: Hierarchy, memory: Hierarchy | undefined, cpu: Hierarchy | undefined): HostCgroups {
  const all = [freezer, memory, cpu].filter((hierarchy) => hierarchy !== undefined);
  return hostCgroups(
    all.map(({ base }) => base),
    memory !== undefined,
    (keeper) => ({
      version: 1,
      main: join(freezer.base, keeper),
      ...(memory ? { memory: join(memory.base, keeper) } : {}),
      ...(cpu ? { cpu: join(cpu.base, keeper) } : {}),
      homes: all.map(({ own }) => own),
    }),
  );
}

/** Version 2 below `base`, a directory that exists. */
export function version2Cgroups(base: string): HostCgroups {
  const delegate = (dir: string): boolean => {
    try {
      writeFileSync(join(dir, "cgroup.subtree_control"), "+memory", { flag: "r+" });
      return true;
    } catch {
      return false;
    }
  };
  const limitsMemory = delegate(dirname(base)) && delegate(base);
  const made = hostCgroups([base], limitsMemory, (keeper) => {
    const main = join(base, keeper);
    return { version: 2, main, ...(limitsMemory ? { memory: main } : {}), cpu: main, homes: [join(main, homeName)] };
  });
  return {
    ...made,
    make(keeper) {
      const place = made.make(keeper);
      if (limitsMemory) delegate(place.main);
      for (const home of place.homes) mkdirSync(home, { recursive: true });
      return place;
    },
    endUnsorted: (keeper) => new RunCgroup(made.placeOf(keeper), homeName).kill(),
  };
}

function hostCgroups(
  bases: readonly string[],
  limitsMemory: boolean,
  placeOf: (keeper: string) => CgroupPlace,
): HostCgroups {
  const remove = (keeper: string): void => {
    for (const base of bases) {
      for (const name of childrenOf(join(base, keeper))) removeCgroupDir(join(base, keeper, name));
      removeCgroupDir(join(base, keeper));
    }
  };
  return {
    limitsMemory,
    placeOf,
    make(keeper) {
      for (const base of bases) mkdirSync(join(base, keeper), { recursive: true });
      return placeOf(keeper);
    },
    endUnsorted: () => {},
    remove,
    keepOnly(keepers) {
      for (const keeper of new Set(bases.flatMap(childrenOf))) if (!keepers.includes(keeper)) remove(keeper);
    },
  };
}

const childrenOf = (dir: string): string[] => {
  try {
    return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    return [];
  }
};

/** Per controller ("" is version 2): the mount point of its hierarchy, and the directory of the hierarchy that is mounted there. */
function readMounts(): Map<string, { readonly at: string; readonly root: string }> {
  const mounts = new Map<string, { at: string; root: string }>();
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const [, , , root = "", at = "", ...rest] = line.split(" ");
    const [type, , options = ""] = rest.slice(rest.indexOf("-") + 1);
    if (type === "cgroup2") mounts.set("", { at, root });
    else if (type === "cgroup") for (const name of options.split(",")) mounts.set(name, { at, root });
  }
  return mounts;
}

/** Per controller: the cgroup of this process. */
function readOwn(): Map<string, string> {
  const own = new Map<string, string>();
  for (const line of readFileSync("/proc/self/cgroup", "utf8").split("\n")) {
    const [, names, ...path] = line.split(":");
    if (names !== undefined) for (const name of names.split(",")) own.set(name, path.join(":"));
  }
  return own;
}
