import { AppError, repeatedKey } from "@berth/core";
import type { TaskSpec } from "@berth/contracts/types";
import { usageError } from "../exit.ts";
import { isApiField, readApiField } from "./api-fields.ts";
import type { ApiPart } from "./api-fields.ts";
import { checkScriptText } from "./script-file.ts";
import { mergeWishes, readers, toSpec } from "./task-wish.ts";
import type { TaskWish, WishKey } from "./task-wish.ts";

export interface LineTask {
  readonly spec: TaskSpec;
  /** Empty where the line gives none. */
  readonly requestId: string;
}

/** Fields to which several keys may add; any other field may be set by one key only. */
const joined = new Set<keyof ApiPart>(["env", "volumes", "dependencies"]);
/** Options whose value may also be written as a number. */
const numeric = new Set<WishKey>([
  "cpu",
  "mem",
  "time",
  "grace",
  "array",
  "after",
  "afterok",
  "priority",
  "host-lease",
]);
/** Options that may be given several times: their values may be written as a list. */
const repeatable = new Set<WishKey>(["env", "volume", "after", "afterok"]);

/**
 * One task from one line of JSON: `{"command": ["echo", "1"], "cpu": 0.5, "mem": "1G", "env": {"A": "b"}, "after": ["12"]}`. Keys are the options' names, or those of
 * the API's TaskSpec in proto3 JSON. `weaker` is what the command line says for all. Strict: a member that is unknown, of another type, or says again what another
 * one says, throws `invalid` naming its path.
 */
export function readJsonLine(text: string, weaker: TaskWish): LineTask {
  const { command = [], script = "", requestId = "", ...rest } = parseObject(text);
  if (!Array.isArray(command)) throw usageError("command", "must be a list of words");
  const words = command.map((each, at) => wellFormed(each, `command[${at}]`));
  const scriptText = wellFormed(script, "script");
  checkScriptText(scriptText, "script");
  const saidBy = new Map<string, string>();
  let wish: ApiPart = {};
  for (const [key, value] of Object.entries(rest)) {
    const part = readMember(key, value);
    for (const name of Object.keys(part)) {
      const before = saidBy.get(name);
      if (before !== undefined && !joined.has(name as keyof ApiPart))
        throw usageError(key, `says again what ${before} says; give one of the two`);
      saidBy.set(name, key);
    }
    wish = mergeWishes(wish, part);
  }
  const { files = [], ...line } = wish;
  const spec = toSpec(mergeWishes(weaker, line), { kind: "command", command: words });
  return { spec: { ...spec, script: scriptText, files: [...files] }, requestId: wellFormed(requestId, "requestId") };
}

function parseObject(text: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new AppError("invalid", "NOT_JSON", `not JSON: ${cause instanceof Error ? cause.message : ""}`, { cause });
  }
  const twice = repeatedKey(text);
  if (twice !== undefined) throw usageError(twice, "is given twice; give it once");
  if (!isObject(json)) throw usageError("line", 'must be a JSON object such as {"command": ["echo", "hi"]}');
  return json;
}

function readMember(key: string, value: unknown): ApiPart {
  // Two fields have both an option's form and the API's.
  const asApi =
    (key === "array" && isObject(value)) ||
    (key === "network" && typeof value === "string" && value.startsWith("NETWORK_"));
  if (isApiField(key) && (asApi || !Object.hasOwn(readers, key))) return readApiField(key, value);
  if (Object.hasOwn(readers, key)) return readOption(key as WishKey, value, key);
  throw usageError(key, "there is no such field; berth submit --help lists them");
}

function readOption(key: WishKey, value: unknown, path: string): TaskWish {
  if (key === "env" && isObject(value))
    return {
      env: Object.fromEntries(Object.entries(value).map(([name, content]) => [name, envValue(content, `env.${name}`)])),
    };
  if (Array.isArray(value) && repeatable.has(key))
    return value.map((item, at) => readOption(key, item, `${path}[${at}]`)).reduce(mergeWishes, {});
  if (typeof value === "string") return readers[key](wellFormed(value, path), path);
  if (typeof value === "number" && numeric.has(key)) return readers[key](String(value), path);
  throw usageError(path, numeric.has(key) ? "must be a text or a number" : "must be a text");
}

function envValue(value: unknown, path: string): string {
  return typeof value === "number" || typeof value === "boolean" ? String(value) : wellFormed(value, path);
}

/** A text that can be sent as UTF-8. */
function wellFormed(value: unknown, path: string): string {
  if (typeof value !== "string") throw usageError(path, "must be a text");
  if (!value.isWellFormed()) throw usageError(path, "has half of a character (a lone surrogate)");
  return value;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
