import { AppError, repeatedKey } from "@berth/core";
import type { ClusterFile } from "./cluster-file.ts";
import { serviceNames } from "./services.ts";
import { isUnknownSetting, unknownSetting } from "./setting-names.ts";

type Rule = readonly [holds: (value: unknown) => boolean, rule: string];

const text: Rule = [(value) => typeof value === "string", "must be a string"];
const words: Rule = [(value) => typeof value === "string" && value !== "", "must be a string that is not empty"];
const whole = (least: number, most: number): Rule => [
  (value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
  `must be a whole number from ${least} to ${most}`,
];
const optional = ([holds, rule]: Rule): Rule => [(value) => value === undefined || holds(value), rule];

const rules: Readonly<Record<keyof ClusterFile, Rule>> = {
  clusterId: words,
  hostId: words,
  driver: [(value) => ["docker", "process", "sim"].includes(value as string), "must be docker, process or sim"],
  simHosts: whole(1, 10_000),
  engine: text,
  defaultImage: text,
  natsServer: words,
  natsPort: whole(1, 65_535),
  gatewayPort: whole(1, 65_535),
  otlpUrl: text,
  metricsPort: whole(0, 65_000),
  database: optional(words),
  agentNatsUrl: optional(words),
  stalledMs: optional(whole(1_000, 86_400_000)),
  settings: optional([isObject, "must be an object of settings per service"]),
};

/** The content of a cluster file that a person may have edited. Throws one `invalid` CLUSTER_FILE that lists every fault. */
export function checkClusterFile(path: string, json: string): ClusterFile {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw refusal(path, [`is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`]);
  }
  if (!isObject(value)) throw refusal(path, ["must be an object"]);
  const twice = repeatedKey(json);
  const faults = [
    ...(twice === undefined ? [] : [`${twice}: is given twice`]),
    ...Object.keys(value)
      .filter((key) => !Object.hasOwn(rules, key))
      .map((key) => `${key}: unknown key`),
    ...Object.entries(rules).flatMap(([key, [holds, rule]]) => (holds(value[key]) ? [] : [`${key}: ${rule}`])),
    ...(isObject(value["settings"]) ? settingFaults(value["settings"]) : []),
  ];
  if (faults.length > 0) throw refusal(path, faults);
  return value as unknown as ClusterFile;
}

function settingFaults(settings: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(settings).flatMap(([service, own]) => {
    if (service === "nats" || !(serviceNames as readonly string[]).includes(service))
      return [`settings.${service}: is no service; there are ${serviceNames.filter((n) => n !== "nats").join(", ")}`];
    if (!isObject(own)) return [`settings.${service}: must be an object`];
    return Object.entries(own).flatMap(([name, setting]) => [
      ...(isUnknownSetting(name) ? [`settings.${service}: ${unknownSetting(name)}`] : []),
      ...(typeof setting === "string" ? [] : [`settings.${service}.${name}: must be a string`]),
    ]);
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const refusal = (path: string, faults: readonly string[]): AppError =>
  new AppError("invalid", "CLUSTER_FILE", `${path} is not valid:\n  ${faults.join("\n  ")}`, { metadata: { path } });
