export * from "./cluster.ts";
export * from "./nats-proxy.ts";
export * from "./otlp-receiver.ts";
export { natsServerPath, startNats, type NatsOptions, type NatsServer } from "./nats-server.ts";
export * from "./api.ts";
export * from "./ledger.ts";
export * from "./patience.ts";
export * from "./submit.ts";
export * from "./store-tasks.ts";
export * from "./core-processes.ts";
export * from "./core-user.ts";
export * from "./echo-service.ts";
export * from "./held-link.ts";
export * from "./history.ts";
export * from "./history-recorder.ts";
export * from "./keepers.ts";
export { sharedDockerEngine, startDockerEngine, whyNoDockerEngine, type DockerEngine } from "./docker-engine.ts";
export * from "./leaders.ts";
export * from "./memory-log-sink.ts";
export * from "./planner.ts";
export * from "./docker-cluster.ts";
export {
  databaseInUse,
  sharedMongo,
  startMongo,
  testDatabase,
  type MongoServer,
  type TestDatabase,
} from "./mongo-server.ts";
export { mongoForCore } from "./core-mongo.ts";
export { startSecondCopy } from "./second-copy.ts";
export { startSecondHost } from "./second-host.ts";
