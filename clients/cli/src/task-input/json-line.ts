import { AppError } from "@berth/core";
import { TaskSpec } from "@berth/contracts/types";
import { usageError } from "../exit.ts";
import { mergeWishes, readers, toSpec } from "./task-wish.ts";
import type { TaskWish, WishKey } from "./task-wish.ts";

export interface LineTask {
  readonly spec: TaskSpec;
  /** Empty where the line gives none. */
  readonly requestId: string;
}

/** Fields of the API's TaskSpec in proto3 JSON that have no shorter name here. */
const specFields = new Set([
  "resources",
  "timeLimitMs",
  "graceMs",
  "dependencies",
  "files",
  "volumes",
  "onHostLost",
  "hostLeaseMs",
]);

/**
 * One task from one line of JSON: `{"command": ["echo", "1"], "cpu": 0.5, "mem": "1G", "env": {"A": "b"}, "after": ["12"]}`. Keys are the options' names, or those of
 * the API's TaskSpec. `weaker` is what the command line says for all. Throws `invalid` naming the field.
 */
export function readJsonLine(text: string, weaker: TaskWish): LineTask {
  const json = parseObject(text);
  let wish = weaker;
  const api: Record<string, unknown> = {};
  let command: unknown = [];
  let script: unknown = "";
  let requestId: unknown = "";
  for (const [key, value] of Object.entries(json)) {
    if (key === "command") command = value;
    else if (key === "script") script = value;
    else if (key === "requestId") requestId = value;
    else if (specFields.has(key) || (key === "array" && isObject(value))) api[key] = value;
    else if (Object.hasOwn(readers, key)) wish = mergeWishes(wish, readValue(key as WishKey, value));
    else throw usageError(key, "there is no such field; berth submit --help lists them");
  }
  if (!Array.isArray(command) || !command.every((word) => typeof word === "string"))
    throw usageError("command", "must be a list of words");
  if (typeof script !== "string") throw usageError("script", "must be a text");
  if (typeof requestId !== "string") throw usageError("requestId", "must be a text");
  const spec = toSpec(wish, { kind: "command", command: command as string[] });
  return { spec: { ...withApiFields(spec, api), script }, requestId };
}

function parseObject(text: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new AppError("invalid", "NOT_JSON", `not JSON: ${cause instanceof Error ? cause.message : ""}`, { cause });
  }
  if (!isObject(json)) throw usageError("line", 'must be a JSON object such as {"command": ["echo", "hi"]}');
  return json;
}

/** Lists and objects are what an option is that is repeated. */
function readValue(key: WishKey, value: unknown): TaskWish {
  if (typeof value === "string" || typeof value === "number") return readers[key](String(value), key);
  if (Array.isArray(value)) return value.map((item) => readValue(key, item)).reduce(mergeWishes, {});
  if (key === "env" && isObject(value))
    return {
      env: Object.fromEntries(Object.entries(value).map(([name, content]) => [name, textOf(content, `env.${name}`)])),
    };
  throw usageError(key, "must be a text or a number");
}

function withApiFields(spec: TaskSpec, api: Record<string, unknown>): TaskSpec {
  if (Object.keys(api).length === 0) return spec;
  const volumes = Array.isArray(api["volumes"])
    ? api["volumes"].map((volume) =>
        typeof volume === "string" ? readers.volume(volume, "volumes").volumes![0]! : volume,
      )
    : undefined;
  const parsed = TaskSpec.fromJSON({ ...api, ...(volumes ? { volumes } : {}) });
  return {
    ...spec,
    ...(parsed.resources ? { resources: parsed.resources } : {}),
    ...(parsed.array ? { array: parsed.array } : {}),
    timeLimitMs: parsed.timeLimitMs || spec.timeLimitMs,
    graceMs: parsed.graceMs || spec.graceMs,
    dependencies: [...spec.dependencies, ...parsed.dependencies],
    volumes: [...spec.volumes, ...parsed.volumes],
    files: parsed.files,
  };
}

function textOf(value: unknown, field: string): string {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
  throw usageError(field, "must be a text");
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
