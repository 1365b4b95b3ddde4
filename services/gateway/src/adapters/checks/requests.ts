import { TaskRequest } from "@berth/contracts/types";
import { z } from "zod";
import { pathFault, plainName, relativePath, taskId } from "./task-spec.ts";

const user = z
  .string()
  .regex(/^(\*|[a-z_][a-z0-9_-]{0,31})?$/, "must be a login name, * for everybody, or empty for yourself");
const offset = z.number().int().min(0, "must be 0 or more");

export const byTaskId = z.object({ taskId });

export const listTasks = z.object({
  user,
  name: z.string().regex(/^[A-Za-z0-9._-]{0,128}\*?$/, "must be a name, with * at its end for all that begin so"),
  arrayId: z.union([z.literal(""), taskId.refine((id) => !id.includes("."), "must be an array, not an element")]),
  pageSize: z
    .number()
    .int()
    .min(0, "must be 1 to 1,000, or 0 for the default")
    .max(1000, "must be 1 to 1,000, or 0 for the default"),
  pageToken: z.string().max(1024, "must be one from an earlier answer"),
  taskIds: z.array(taskId).max(1000, "must be at most 1,000"),
});

export const watchTasks = z.object({
  token: z.string().max(1024, "must be one from an earlier answer"),
  user,
  taskIds: z.array(taskId).max(1000, "must be at most 1,000"),
});

export const readLog = z.object({
  taskId,
  attempt: z.number().int().min(0, "must be 0 (the last) or more"),
  stdoutOffset: offset,
  stderrOffset: offset,
});

export const requestTasks = z.object({
  taskIds: z.array(taskId).min(1, "must name at least one task").max(10_000, "must be at most 10,000"),
  request: z.enum(
    [TaskRequest.KILL, TaskRequest.SUSPEND, TaskRequest.RESUME],
    "must be TASK_REQUEST_KILL, TASK_REQUEST_SUSPEND or TASK_REQUEST_RESUME",
  ),
});

export const updateTask = z.object({
  taskId,
  maxLive: z
    .number()
    .int()
    .min(0, "must be 0 (no limit) or more")
    .max(1_000_000, "must be at most 1,000,000")
    .optional(),
});

export const submitTasks = z.object({
  tasks: z.array(z.unknown()).min(1, "must have at least one task").max(10_000, "must be at most 10,000"),
});

/** Limits only the length, because storage splits and checks the path. */
const pathBytes = z.instanceof(Uint8Array).refine((bytes) => bytes.length <= 4096, "must have at most 4096 bytes");

export const listFiles = z.object({
  taskId,
  path: z.union([z.literal(""), relativePath]),
  pathBytes: pathBytes.optional(),
});
export const getFile = z
  .object({ taskId, path: z.string(), pathBytes: pathBytes.optional() })
  .superRefine(({ path, pathBytes: bytes }, context) => {
    const message = bytes === undefined ? pathFault(path) : path === "" ? undefined : "must be empty beside path_bytes";
    if (message !== undefined) context.addIssue({ code: "custom", path: ["path"], message });
  });
export const addFile = getFile;

/** Auth checks whether they belong together. A key has precedence. */
export const login = z.object({
  user: z.string().max(256, "must have at most 256 characters"),
  password: z.string().max(1024, "must have at most 1,024 characters"),
  key: z.string().max(256, "must have at most 256 characters"),
});

const loginName = z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$/, "must be a login name");
const ownOrLoginName = z.union([z.literal(""), loginName], "must be a login name, or empty for yourself");
export const ownerOfKeys = z.object({ user: ownOrLoginName });
export const keyId = z.object({ id: plainName(64).min(1, "must not be empty"), user: ownOrLoginName });
export const setUserDisabled = z.object({ user: loginName });
