import { AppError, GiB, MiB, checkRange, parseTaskId } from "@berth/core";
import { Dependency_Kind, Network, OnHostLost } from "@berth/contracts/types";
import { z } from "zod";

const days = 86_400_000;
const noNul = /^[^\0]*$/;

/** Characters allowed in names of tasks, projects and volumes. */
export const plainName = (max: number) =>
  z.string().regex(new RegExp(`^[A-Za-z0-9._-]{0,${max}}$`), `must have at most ${max} characters of [A-Za-z0-9._-]`);

/** "17" or "17.4". */
export const taskId = z.string().refine((id) => passes(() => parseTaskId(id)), "must look like 17 or 17.4");

const mostPathBytes = 4096;
const mostNameBytes = 255;

/** What is wrong with a path inside a task's directory; undefined if nothing. Storage checks again, on the disk. */
export function pathFault(path: string): string | undefined {
  if (!path.isWellFormed()) return "must be Unicode text without a lone surrogate";
  if (Buffer.byteLength(path) > mostPathBytes) return `must have at most ${mostPathBytes} bytes`;
  const names = path.split("/");
  if (!noNul.test(path) || names.some((name) => name === "" || name === "." || name === ".."))
    return "must be a relative path without empty parts, . or ..";
  if (names.some((name) => Buffer.byteLength(name) > mostNameBytes))
    return `must have names of at most ${mostNameBytes} bytes`;
  return undefined;
}

/** Inside a task's directory. */
export const relativePath = z.string().superRefine((path, context) => {
  const message = pathFault(path);
  if (message !== undefined) context.addIssue({ code: "custom", message });
});

/** Largest argument or variable, with its final NUL, with which Linux starts a program (MAX_ARG_STRLEN). */
const longestArgument = 128 * 1024 - 1;

const text = (maxBytes: number) =>
  z
    .string()
    .regex(noNul, "must not contain a NUL character")
    .refine(
      (value) => value.length <= maxBytes && Buffer.byteLength(value) <= maxBytes,
      `must have at most ${maxBytes} bytes`,
    );

const resources = z.object({
  cpuMilli: z
    .number()
    .int()
    .min(0, "must be 1 to 1,024,000, or 0 for the default")
    .max(1_024_000, "must be at most 1,024,000 (1,024 processors)"),
  memoryBytes: z
    .number()
    .int()
    .refine(
      (bytes) => bytes === 0 || (bytes >= 4 * MiB && bytes <= 64 * 1024 * GiB),
      "must be from 4 MiB to 64 TiB, or 0 for the default",
    ),
});

const env = z.record(z.string(), z.string()).superRefine((entries, context) => {
  let bytes = 0;
  for (const [name, value] of Object.entries(entries)) {
    bytes += name.length + Buffer.byteLength(value) + 2;
    const rule = envRule(name, value);
    if (rule !== undefined) return context.addIssue({ code: "custom", path: [name], message: rule });
  }
  if (bytes > 256 * 1024) context.addIssue({ code: "custom", message: "must have at most 256 KiB in all" });
});

function envRule(name: string, value: string): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(name)) return "a name must look like [A-Za-z_][A-Za-z0-9_]*";
  if (name.startsWith("BERTH_")) return "names that begin with BERTH_ are Berth's own";
  if (!noNul.test(value)) return "must not contain a NUL character";
  if (name.length + 1 + Buffer.byteLength(value) > longestArgument)
    return `must have at most ${longestArgument - name.length - 1} bytes: name and value together are at most ${longestArgument - 1}`;
  return undefined;
}

const array = z
  .object({
    first: z.number(),
    last: z.number(),
    step: z.number(),
    maxLive: z.number().int().min(0, "must be 0 (no limit) or more").max(1_000_000, "must be at most 1,000,000"),
  })
  .superRefine((range, context) => {
    const fault = faultOf(() => checkRange(range, "array"));
    if (fault) context.addIssue({ code: "custom", message: fault.metadata["rule"] ?? fault.message });
  });

const dependency = z.object({
  kind: z.enum([Dependency_Kind.AFTER, Dependency_Kind.AFTER_OK], "must be KIND_AFTER or KIND_AFTER_OK"),
  taskId: taskId.refine((id) => !id.includes("."), "must be a whole task or array, not an element"),
});

const inputFile = z.object({ path: relativePath, content: z.instanceof(Uint8Array), executable: z.boolean() });

const unique =
  <T>(keyOf: (item: T) => string, rule: string) =>
  (items: T[], context: z.core.$RefinementCtx<T[]>) => {
    const seen = new Set<string>();
    items.forEach((item, at) => {
      if (seen.has(keyOf(item))) context.addIssue({ code: "custom", path: [at], message: rule, input: items });
      seen.add(keyOf(item));
    });
  };

const taskSpec = z
  .object({
    name: plainName(128),
    project: plainName(64),
    image: z.string().regex(/^[^\s\p{C}]{0,512}$/u, "must be an image's name of at most 512 characters without spaces"),
    command: z
      .array(text(longestArgument))
      .max(10_000, "must have at most 10,000 words")
      .refine((words) => words.length === 0 || words[0] !== "", "the first word must not be empty")
      .refine(
        (words) => words.reduce((sum, word) => sum + Buffer.byteLength(word), 0) <= MiB,
        "must have at most 1 MiB in all",
      ),
    script: text(MiB),
    env,
    resources: resources.optional(),
    volumes: z
      .array(z.object({ name: plainName(64).min(1, "must not be empty"), readOnly: z.boolean() }))
      .max(64, "must be at most 64")
      .superRefine(unique(({ name }) => name, "is there twice")),
    workdir: z
      .string()
      .regex(
        /^(\/[^\p{Cc}]*)?$/u,
        "must be an absolute path without control characters, or empty for the task's directory",
      )
      .refine((path) => Buffer.byteLength(path) < mostPathBytes, `must have less than ${mostPathBytes} bytes`),
    priority: z.number().int().min(-100, "must be -100 to 100").max(100, "must be -100 to 100"),
    array: array.optional(),
    dependencies: z.array(dependency).max(100, "must be at most 100"),
    timeLimitMs: z
      .number()
      .int()
      .min(0, "must be 0 (the site's default) or more")
      .max(365 * days, "must be at most 365 days"),
    graceMs: z
      .number()
      .int()
      .min(0, "must be 0 (the site's default) or more")
      .max(days / 24, "must be at most an hour"),
    files: z
      .array(inputFile)
      .max(1_000, "must be at most 1,000")
      .superRefine(unique(({ path }) => path, "is there twice"))
      .superRefine((files, context) => {
        const paths = new Set(files.map(({ path }) => path));
        files.forEach(({ path }, at) => {
          const above = path.split("/").map((_, depth, names) => names.slice(0, depth).join("/"));
          const file = above.find((each) => paths.has(each));
          if (file !== undefined)
            context.addIssue({
              code: "custom",
              path: [at, "path"],
              message: `must not be beneath ${file}, which is a file`,
            });
        });
      })
      .refine(
        (files) => files.reduce((sum, file) => sum + file.content.length, 0) <= 4 * MiB,
        "must have at most 4 MiB in all; add larger ones with AddFile, or use a volume",
      ),
    network: z.enum([Network.UNSPECIFIED, Network.NONE, Network.BRIDGE], "must be NETWORK_NONE or NETWORK_BRIDGE"),
    onHostLost: z.enum(
      [OnHostLost.UNSPECIFIED, OnHostLost.WAIT, OnHostLost.RETRY, OnHostLost.FAIL],
      "must be ON_HOST_LOST_WAIT, ON_HOST_LOST_RETRY or ON_HOST_LOST_FAIL",
    ),
    hostLeaseMs: z
      .number()
      .int()
      .refine(
        (ms) => ms === 0 || (ms >= 10_000 && ms <= 7 * days),
        "must be from 10 s to 7 days, or 0 for the default",
      ),
  })
  .superRefine((spec, context) => {
    const waits = spec.onHostLost === OnHostLost.UNSPECIFIED || spec.onHostLost === OnHostLost.WAIT;
    if (spec.hostLeaseMs > 0 && waits)
      context.addIssue({
        code: "custom",
        path: ["hostLeaseMs"],
        message: "needs on_host_lost to be retry or fail: a task that waits for its host has no lease",
      });
    if (spec.command.length > 0 && spec.script !== "")
      context.addIssue({ code: "custom", path: ["script"], message: "give command or script, not both" });
    if (spec.command.length === 0 && spec.script === "")
      context.addIssue({ code: "custom", path: ["command"], message: "give a command or a script" });
  });

export const submitRequest = z
  .object({
    spec: taskSpec.optional(),
    requestId: z.string().regex(/^[A-Za-z0-9_.:-]{0,128}$/, "must have at most 128 characters of [A-Za-z0-9_.:-]"),
  })
  .refine(({ spec }) => spec !== undefined, { path: ["spec"], message: "is missing" });

const passes = (fn: () => unknown): boolean => faultOf(fn) === undefined;

function faultOf(fn: () => unknown): AppError | undefined {
  try {
    fn();
    return undefined;
  } catch (error) {
    return AppError.from(error);
  }
}
