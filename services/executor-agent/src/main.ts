import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "@berth/core";
import { singleInstanceLock } from "@berth/database";
import { busLogin, connectBus } from "@berth/nats";
import { agentProof, createLogger, gauge, openTrust, runService, serveMetrics, startTelemetry } from "@berth/runtime";
import { agentIdOf } from "./adapters/agent-id.ts";
import { keepIdentityRenewed } from "./adapters/grpc/renew-identity.ts";
import { hostClock } from "./adapters/host-clock.ts";
import { makeDriver } from "./adapters/make-driver.ts";
import { busControlPlane } from "./adapters/nats/bus-control-plane.ts";
import { serveAgent } from "./adapters/nats/serve-agent.ts";
import { observeEnds, observeRefusals } from "./adapters/observe-ends.ts";
import { sqliteJournal } from "./adapters/sqlite/sqlite-journal.ts";
import { Agent } from "./app/agent.ts";
import { readAgentConfig } from "./config.ts";
import { agentVersion } from "./version.ts";

await runService({
  name: "agent",
  async start({ closing, signal }) {
    const config = readAgentConfig(process.env);
    const { hostId } = config;
    const logger = createLogger({ service: "agent", level: config.logLevel, format: config.logFormat });
    await startTelemetry({ service: "agent", otlpUrl: config.otlpUrl, closing });

    process.umask(0o066); // files 0600; directories may be made 0711, so that tasks can pass through
    mkdirSync(config.dataDir, { recursive: true, mode: 0o711 });
    const lock = singleInstanceLock(join(config.dataDir, "lock"));
    closing.add(() => lock.release());
    const journal = sqliteJournal(join(config.dataDir, "journal.db"));
    closing.add(() => journal.close());

    const trust = openTrust(config, { role: "agent", closing, logger });
    if (trust.identity?.role === "agent" && trust.identity.host !== hostId)
      throw new AppError(
        "invalid",
        "BAD_IDENTITY",
        `BERTH_HOST_ID is ${hostId}, and the identity in ${config.identityDir} is of host ${trust.identity.host}`,
      );
    const clock = hostClock();
    const bus = connectBus({
      servers: config.natsUrl,
      ...busLogin(config, trust.identity),
      name: `berth agent ${hostId}`,
      closing,
      logger,
      onConnected: () => agent.wake(),
    });
    const { driver, files, deliver } = await makeDriver({
      config,
      trust,
      positions: journal.logPositions,
      bootId: clock.bootId,
      logger,
      closing,
    });
    const agentId = agentIdOf(clock.bootId, lock.path);
    const agent: Agent = new Agent({
      hostId,
      agentId,
      version: agentVersion,
      driver,
      files,
      deliver,
      journal,
      control: busControlPlane(bus, {
        hostId,
        agentId,
        journalId: journal.id,
        proof: trust.identity ? "" : agentProof(config.clusterSecret ?? "", hostId, agentId),
      }),
      clock,
      random: Math.random,
      logger,
      defaultImage: config.defaultImage,
      onEnd: observeEnds(hostId),
      onRefused: observeRefusals(),
    });
    if (trust.identity && config.identityDir && config.gateway) {
      const renewed = keepIdentityRenewed(config.identityDir, config.gateway, trust, { closing, logger, signal });
      closing.add(() => renewed);
    }
    const ready = Promise.withResolvers<void>();
    const running = agent.run(signal, ready.resolve);
    closing.add(() => running.catch(() => {}));
    await Promise.race([ready.promise, running]);
    serveAgent(bus, hostId, agent, signal);

    gauge("berth_agent_live_runs", "Runs on this host that are not over", () => agent.liveRuns);
    gauge("berth_agent_frozen_runs", "Runs that stand still because their lease ended", () => agent.frozenRuns);
    gauge(
      "berth_agent_duplicate_host_name",
      "1 while the watchers refuse this agent, mostly because another one uses its host name: it starts nothing",
      () => (agent.hostNameTaken ? 1 : 0),
    );
    if (config.metricsAddress === undefined) return { running };
    const metrics = await serveMetrics({ address: config.metricsAddress, closing, logger, healthy: () => agent.ready });
    return { running, addresses: { metrics } };
  },
});
