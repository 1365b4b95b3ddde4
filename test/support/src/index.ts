export * from "./cluster.ts";
export * from "./nats-proxy.ts";
export * from "./otlp-receiver.ts";
