import { busLogin, connectBus } from "@berth/nats";
import { agentProof, createLogger, runService, silentLogger } from "@berth/runtime";
import { hostClock } from "./adapters/host-clock.ts";
import { memoryJournal } from "./adapters/memory/memory-journal.ts";
import { busControlPlane } from "./adapters/nats/bus-control-plane.ts";
import { serveAgent } from "./adapters/nats/serve-agent.ts";
import { simDriver } from "./adapters/sim/sim-driver.ts";
import { simFiles } from "./adapters/sim/sim-files.ts";
import { Agent } from "./app/agent.ts";
import { readAgentConfig } from "./config.ts";
import { agentVersion } from "./version.ts";

/** Many hosts in one process, each with its own subjects and messages, for tests of scale: virtual tasks, journals in memory. */
await runService({
  name: "sim-agents",
  async start({ closing, signal }) {
    const config = readAgentConfig({ BERTH_DRIVER: "sim", BERTH_DATA_DIR: "/nonexistent", ...process.env });
    const bus = connectBus({
      servers: config.natsUrl,
      ...busLogin(config, undefined),
      name: "berth sim agents",
      closing,
      logger: createLogger({ service: "sim-agents", level: config.logLevel, format: config.logFormat }),
      onConnected: () => agents.forEach((agent) => agent.wake()),
    });
    const clock = hostClock();
    const capacity = { cpuMilli: config.capacityCpu ?? 64_000, memoryBytes: config.capacityMemory ?? 2 ** 38 };
    const agents: Agent[] = [];
    const running: Promise<void>[] = [];
    for (let n = 1; n <= config.simHosts; n += 1) {
      const hostId = `${config.hostId}-${n}`;
      const journal = memoryJournal();
      const agent = new Agent({
        hostId,
        agentId: journal.id,
        version: agentVersion,
        driver: simDriver({ capacity, defaultMs: config.simMs }),
        files: simFiles,
        deliver: (events) => events,
        journal,
        control: busControlPlane(bus, {
          hostId,
          agentId: journal.id,
          journalId: journal.id,
          proof: agentProof(config.clusterSecret ?? "", hostId, journal.id),
        }),
        clock,
        random: Math.random,
        logger: silentLogger,
        defaultImage: "",
        onEnd: () => {},
      });
      agents.push(agent);
      running.push(agent.run(signal));
      serveAgent(bus, hostId, agent, signal);
    }
    return { running: Promise.race(running) };
  },
});
