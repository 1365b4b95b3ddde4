export * from "./cluster.ts";
export * from "./nats-proxy.ts";
export * from "./otlp-receiver.ts";
export { natsServerPath, startNats, type NatsOptions, type NatsServer } from "./nats-server.ts";
export * from "./api.ts";
export * from "./ledger.ts";
export * from "./patience.ts";
export * from "./submit.ts";
export * from "./store-tasks.ts";
