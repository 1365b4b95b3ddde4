import { hostname, uptime } from "node:os";
import type { Feature } from "@berth/plugins";
import type { ContainerSite } from "./container-spec.ts";
import type { Engine } from "./engine.ts";
import type { UsageMeter } from "./usage.ts";

/** Whether the engine runs on this machine's kernel. Then the agent can read its cgroups and paths. */
export const isLocal = ({ socketPath, facts }: Engine): boolean =>
  socketPath !== undefined && facts.Name === hostname() && !facts.OperatingSystem.startsWith("Docker Desktop");

/** When this machine was booted. */
export const bootedAt = (): Date => new Date(Date.now() - uptime() * 1000);

/** Limits that the engine enforces. A rootless engine without cgroup delegation accepts them with a warning and enforces none. */
export function limitsOf({ facts }: Engine): ContainerSite["limits"] {
  const controlled = facts.CgroupDriver !== "none";
  return {
    memory: controlled && facts.MemoryLimit,
    cpu: controlled && facts.CpuCfsQuota,
    pids: controlled && facts.PidsLimit,
  };
}

export function featuresOf(engine: Engine, meter: UsageMeter): ReadonlySet<Feature> {
  const limits = limitsOf(engine);
  return new Set<Feature>([
    ...(["memory", "cpu", "pids"] as const).filter((limit) => limits[limit]),
    "identity",
    "isolation",
    ...(engine.facts.CgroupDriver === "none" ? [] : (["suspend"] as const)),
    ...meter.measures,
  ]);
}
