import { parseArray, parseCpu, parseDuration, parseMemory, parseTaskId } from "@berth/core";
import { TaskSpec } from "@berth/contracts/types";
import type { Network, OnHostLost } from "@berth/contracts/types";
import { usageError } from "../exit.ts";
import { checkVariable } from "./utf8.ts";

/** What a user may ask for a task, beside its command, in options, script lines and JSON lines. */
export interface TaskWish {
  readonly name?: string;
  readonly project?: string;
  readonly image?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cpuMilli?: number;
  readonly memoryBytes?: number;
  readonly volumes?: readonly { readonly name: string; readonly readOnly: boolean }[];
  readonly workdir?: string;
  readonly priority?: number;
  readonly array?: { readonly first: number; readonly last: number; readonly step: number; readonly maxLive: number };
  readonly dependencies?: readonly { readonly kind: "KIND_AFTER" | "KIND_AFTER_OK"; readonly taskId: string }[];
  readonly timeLimitMs?: number;
  readonly graceMs?: number;
  readonly network?: Network;
  readonly onHostLost?: OnHostLost;
  readonly hostLeaseMs?: number;
}

/** The program of a task. */
export type Program =
  | { readonly kind: "command"; readonly command: readonly string[] }
  | { readonly kind: "script"; readonly script: string; readonly name: string }
  | {
      readonly kind: "script-file";
      readonly content: Buffer;
      readonly name: string;
      readonly args: readonly string[];
    };

/** Reads one value; `field` is how the user knows it. Throws `invalid` naming field and rule. */
type Read = (text: string, field: string) => TaskWish;

/** How to read each option, by its name in options and JSON lines. */
export const readers = {
  name: (name) => ({ name }),
  project: (project) => ({ project }),
  image: (image) => ({ image }),
  cpu: (text, field) => ({ cpuMilli: parseCpu(text, field) }),
  mem: (text, field) => ({ memoryBytes: parseMemory(text, field) }),
  time: (text, field) => ({ timeLimitMs: parseDuration(text, field) }),
  grace: (text, field) => ({ graceMs: parseDuration(text, field) }),
  env: (text, field) => ({ env: readEnv(text, field) }),
  volume: (text, field) => ({ volumes: [readVolume(text, field)] }),
  array: (text, field) => ({ array: parseArray(text, field) }),
  after: (text, field) => ({
    dependencies: readIds(text, field).map((taskId) => ({ kind: "KIND_AFTER" as const, taskId })),
  }),
  afterok: (text, field) => ({
    dependencies: readIds(text, field).map((taskId) => ({ kind: "KIND_AFTER_OK" as const, taskId })),
  }),
  workdir(workdir, field) {
    if (!workdir.startsWith("/")) throw usageError(field, "must be an absolute path");
    return { workdir };
  },
  priority(text, field) {
    const priority = Number(text);
    if (!/^[+-]?\d+$/.test(text) || Math.abs(priority) > 100)
      throw usageError(field, "must be a whole number from -100 to 100");
    return { priority };
  },
  network(text, field) {
    if (text !== "none" && text !== "bridge") throw usageError(field, "must be none or bridge");
    return { network: text === "none" ? "NETWORK_NONE" : "NETWORK_BRIDGE" };
  },
  "on-host-lost"(text, field) {
    if (text === "wait") return { onHostLost: "ON_HOST_LOST_WAIT" };
    if (text === "retry") return { onHostLost: "ON_HOST_LOST_RETRY" };
    if (text === "fail") return { onHostLost: "ON_HOST_LOST_FAIL" };
    throw usageError(field, "must be wait, retry or fail");
  },
  "host-lease": (text, field) => ({ hostLeaseMs: parseDuration(text, field) }),
} satisfies Readonly<Record<string, Read>>;

export type WishKey = keyof typeof readers;

/** `stronger` wins; variables are joined by name, volumes by name. Dependencies add up: of two on one task, the one that asks for success holds, since it asks for more. */
export function mergeWishes<Wish extends TaskWish>(weaker: Wish, stronger: Wish): Wish {
  const merged = { ...weaker, ...stronger };
  return {
    ...merged,
    ...(merged.env ? { env: { ...weaker.env, ...stronger.env } } : {}),
    ...(merged.volumes
      ? { volumes: joined([...(weaker.volumes ?? []), ...(stronger.volumes ?? [])], ({ name }) => name) }
      : {}),
    ...(merged.dependencies
      ? {
          dependencies: joined(
            [...(weaker.dependencies ?? []), ...(stronger.dependencies ?? [])],
            ({ taskId }) => taskId,
            (before, next) => (before.kind === "KIND_AFTER_OK" ? before : next),
          ),
        }
      : {}),
  };
}

/** One item per key, in the order of first appearance. `choose` picks between two items of one key, by default the later. */
function joined<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  choose: (before: T, next: T) => T = (_, next) => next,
): T[] {
  const byKey = new Map<string, T>();
  for (const item of items) {
    const before = byKey.get(keyOf(item));
    byKey.set(keyOf(item), before === undefined ? item : choose(before, item));
  }
  return [...byKey.values()];
}

/** Converts to the spec of the API. */
export function toSpec(wish: TaskWish, program: Program): TaskSpec {
  const { cpuMilli = 0, memoryBytes = 0, env = {}, volumes = [], dependencies = [], ...rest } = wish;
  return TaskSpec.fromPartial({
    ...rest,
    env,
    volumes: [...volumes],
    dependencies: [...dependencies],
    ...(cpuMilli || memoryBytes ? { resources: { cpuMilli, memoryBytes } } : {}),
    ...programSpec(program, wish.name),
  });
}

function programSpec(program: Program, name: string | undefined): object {
  if (program.kind === "command") return { command: [...program.command] };
  const named = { name: name ?? (program.name.replaceAll(/[^A-Za-z0-9._-]+/g, "_").slice(0, 128) || "script") };
  if (program.kind === "script") return { ...named, script: program.script };
  // A script that is a file is the command's first word. The files of an array are in its shared directory; of a task, that is the task's own.
  const file = { path: `.berth/${named.name}`, content: program.content, executable: true };
  return {
    ...named,
    command: ["sh", "-c", 'exec "$BERTH_ARRAY_DIR/$0" "$@"', file.path, ...program.args],
    files: [file],
  };
}

/** K=V, or K alone, which takes the value from our own environment. */
function readEnv(text: string, field: string): Record<string, string> {
  const at = text.indexOf("=");
  const name = at < 0 ? text : text.slice(0, at);
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw usageError(field, `must look like NAME=value, is ${JSON.stringify(text.slice(0, 40))}`);
  const value = at < 0 ? process.env[name] : text.slice(at + 1);
  if (value === undefined) throw usageError(field, `${name} has no value here; write ${name}=value`);
  if (at < 0) checkVariable(name, value, field);
  return { [name]: value };
}

function readVolume(text: string, field: string): { name: string; readOnly: boolean } {
  const match = /^([A-Za-z0-9._-]{1,64})(?::(ro|rw))?$/.exec(text);
  if (!match)
    throw usageError(
      field,
      `must look like name or name:ro, is ${JSON.stringify(text.slice(0, 60))}; berth volume ls shows the names`,
    );
  return { name: match[1]!, readOnly: match[2] === "ro" };
}

const readIds = (text: string, field: string): string[] => text.split(",").map((id) => parseTaskId(id.trim(), field));
