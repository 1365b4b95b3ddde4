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

/** What is done to a run between its start and its end. */
export function runControl({ table, client, meter, starter, sampler, isLocal }: RunControlDeps) {
  const running = (run: Run): HeldContainer | undefined => {
    const held = table.get(run);
    return held?.phase === "running" ? held : undefined;
  };

  /** The first process's death ends the others a moment later, in which they may make a step. What stands still cannot end, so the pids are theirs. */
  async function killEach(id: string): Promise<void> {
    for (const pid of await client.pids(id).catch(() => [])) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // another user's engine: then it is ended as others are
      }
    }
  }

  return {
    async killTask(run, signal) {
      const held = table.get(run);
      if (!held || held.phase === "over") return;
      held.killed = signal;
      if (held.phase !== "running") return starter.cancel(held);
      // What it used so far may be gone after its end.
      await sampler.sample(held);
      const id = held.containerId!;
      if (held.paused && signal === "KILL" && isLocal) await killEach(id);
      await client.kill(id, `SIG${signal}`).catch(rethrow);
      if (held.paused) {
        // The signal waits in it, so that a KILL ends it without one more step.
        await client.unpause(id).catch(rethrow);
        // Some engines refuse it while it is paused.
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
