import { invalidField } from "@berth/core";
import type { ReasonCode } from "@berth/core";
import type { z } from "zod";

/** Reasons by field, for programs; any other field is INVALID_FIELD. */
const reasons: Readonly<Record<string, ReasonCode>> = {
  name: "INVALID_NAME",
  project: "INVALID_PROJECT",
  image: "INVALID_IMAGE",
  command: "INVALID_COMMAND",
  script: "INVALID_SCRIPT",
  env: "INVALID_ENV",
  cpu_milli: "INVALID_CPU",
  memory_bytes: "INVALID_MEMORY",
  volumes: "INVALID_VOLUME",
  workdir: "INVALID_WORKDIR",
  priority: "INVALID_PRIORITY",
  array: "INVALID_ARRAY",
  array_id: "INVALID_TASK_ID",
  dependencies: "INVALID_DEPENDENCY",
  time_limit_ms: "INVALID_TIME_LIMIT",
  grace_ms: "INVALID_GRACE",
  files: "INVALID_FILE",
  network: "INVALID_NETWORK",
  on_host_lost: "INVALID_ON_HOST_LOST",
  host_lease_ms: "INVALID_HOST_LEASE",
  request_id: "INVALID_REQUEST_ID",
  task_id: "INVALID_TASK_ID",
  task_ids: "INVALID_TASK_ID",
  page_size: "INVALID_PAGE_SIZE",
  path: "INVALID_PATH",
  path_bytes: "INVALID_PATH",
};

/** Throws `invalid` for the first fault, naming the field as the .proto does (`tasks[3].spec.resources.cpu_milli`) and the rule. */
export function check(schema: z.ZodType, message: unknown, within: readonly PropertyKey[] = []): void {
  const parsed = schema.safeParse(message);
  const issue = parsed.error?.issues[0];
  if (!issue) return;
  const path = [...within, ...issue.path];
  throw invalidField(fieldName(path), issue.message, reasonOf(path));
}

/** Converts names to those of the proto. Keys of a map are the user's own and stay unchanged. */
function fieldName(path: readonly PropertyKey[]): string {
  let name = "";
  path.forEach((part, at) => {
    if (typeof part === "number") name += `[${part}]`;
    else name += `${at === 0 ? "" : "."}${path[at - 1] === "env" ? String(part) : snake(String(part))}`;
  });
  return name;
}

function reasonOf(path: readonly PropertyKey[]): ReasonCode {
  for (const part of path.toReversed()) {
    const reason = typeof part === "string" ? reasons[snake(part)] : undefined;
    if (reason !== undefined && path[path.indexOf(part) - 1] !== "env") return reason;
  }
  return "INVALID_FIELD";
}

const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
