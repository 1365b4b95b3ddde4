import type { Run } from "@berth/core";
import type { Driver } from "@berth/plugins";
import type { ContainerTable } from "./container-table.ts";
import type { EngineClient } from "./engine-client.ts";
import { rethrow } from "./engine-client.ts";
import type { HeldContainer } from "./held-container.ts";
import type { RunStarter } from "./run-starter.ts";
import type { UsageSampler } from "./usage-sampler.ts";
import type { UsageMeter } from "./usage.ts";

export interface RunControlDeps {
  readonly table: ContainerTable;
  readonly client: EngineClient;
  readonly meter: UsageMeter;
  readonly starter: Pick<RunStarter, "cancel">;
  readonly sampler: UsageSampler;
  /** Whether the engine's processes are this machine's. */
  readonly isLocal: boolean;
}

/** The driver's calls for a run that was started: signals, usage, ports. */
export function runControl({ table, client, meter, starter, sampler, isLocal }: RunControlDeps) {
  const running = (run: Run): HeldContainer | undefined => {
    const held = table.get(run);
    return held?.phase === "running" ? held : undefined;
  };

  /** Kills each process of a paused container, because after the death of the first one the others may run for a moment. A paused process cannot end, so no pid was reused. */
  async function killEach(id: string): Promise<void> {
    for (const pid of await client.pids(id).catch(() => [])) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // The engine belongs to another user. The engine's own kill follows.
      }
    }
  }

  return {
    async killTask(run, signal) {
      const held = table.get(run);
      if (!held || held.phase === "over") return;
      held.killed = signal;
      if (held.phase !== "running") return starter.cancel(held);
      // The engine may not know the usage any more after the end.
      await sampler.sample(held);
      const id = held.containerId!;
      if (held.paused && signal === "KILL" && isLocal) await killEach(id);
      await client.kill(id, `SIG${signal}`).catch(rethrow);
      if (held.paused) {
        // A KILL is pending by now, so the processes end when they are resumed, without another step.
        await client.unpause(id).catch(rethrow);
        // Some engines refuse a kill while the container is paused.
        if (signal === "KILL") await client.kill(id, "SIGKILL").catch(rethrow);
      }
      held.paused = false;
    },

    async suspendTask(run) {
      const held = running(run);
      if (!held) return;
      await client.pause(held.containerId!).catch(rethrow);
      held.paused = true;
    },

    async resumeTask(run) {
      const held = running(run);
      if (!held) return;
      await client.unpause(held.containerId!).catch(rethrow);
      held.paused = false;
    },

    async getMappingPort(run, containerPort) {
      const held = running(run);
      if (!held) return undefined;
      const { NetworkSettings } = await client.inspect(held.containerId!).catch(rethrow);
      const port = NetworkSettings.Ports?.[`${containerPort}/tcp`]?.[0]?.HostPort;
      return port === undefined ? undefined : Number(port);
    },

    async usage(run) {
      const held = table.get(run);
      return held?.containerId === undefined ? undefined : meter.read(held.run, held.containerId);
    },
  } satisfies Partial<Driver>;
}
