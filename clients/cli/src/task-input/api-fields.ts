import { Dependency_Kind, Network, OnHostLost } from "@berth/contracts/types";
import type { ArraySpec, Dependency, InputFile, Resources, TaskSpec, VolumeRequest } from "@berth/contracts/types";
import { z } from "zod";
import { usageError } from "../exit.ts";
import { readers } from "./task-wish.ts";
import type { TaskWish, WishKey } from "./task-wish.ts";

/** What one field of the API says: a part of the wish, or files. */
export type ApiPart = TaskWish & { readonly files?: readonly InputFile[] };

/** Fields that have an option's name are read as that option; the others, and the two that may be written both ways, are read here. */
type ApiField = Exclude<keyof TaskSpec, WishKey | "command" | "script"> | "array" | "network";

const notText = "must be a text";
/** What cannot be UTF-8 would be sent as another text. */
const text = z.string(notText).refine((value) => value.isWellFormed(), "has half of a character (a lone surrogate)");
/** An int64 in proto3 JSON: a number, or its digits as a text. */
const whole = (unit: string) =>
  z.preprocess(
    (value) => (typeof value === "string" && /^-?\d{1,16}$/.test(value) ? Number(value) : value),
    z.int(`must be a whole number${unit}`),
  );
const milliseconds = (option: WishKey) => whole(` of milliseconds; "${option}" takes a time such as "1h30m"`);
const flag = z.boolean("must be true or false");
const object = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape, "must be an object");
const list = <Item extends z.ZodType>(item: Item) => z.array(item, "must be a list");
/** The enum's names in proto3 JSON. */
function word<T extends string>(words: Readonly<Record<string, T>>) {
  const known = Object.values(words).filter((value) => value !== "UNRECOGNIZED");
  return z.enum(known as [T, ...T[]], `must be one of ${known.join(", ")}`);
}

// `satisfies` with every field: one that is added to the API and forgotten here does not compile.
const resources = object({
  cpuMilli: whole(' of thousandths of a processor; "cpu" takes 0.5').optional(),
  memoryBytes: whole(' of bytes; "mem" takes a size such as "4G"').optional(),
} satisfies Record<keyof Resources, z.ZodType>);

const array = object({
  first: whole("").optional().default(0),
  last: whole("").optional().default(0),
  step: whole("").optional().default(0),
  maxLive: whole("").optional().default(0),
} satisfies Record<keyof ArraySpec, z.ZodType>);

const dependency = object({
  kind: z.enum([Dependency_Kind.AFTER, Dependency_Kind.AFTER_OK], "must be KIND_AFTER or KIND_AFTER_OK"),
  taskId: text,
} satisfies Record<keyof Dependency, z.ZodType>);

const volume = object({
  name: text,
  readOnly: flag.optional().default(false),
} satisfies Record<keyof VolumeRequest, z.ZodType>);

const file = object({
  path: text,
  content: z
    .string(notText)
    .regex(/^[A-Za-z0-9+/_-]*={0,2}$/, "must be in base64")
    .optional()
    .default("")
    .transform((content) => Buffer.from(content, "base64")),
  executable: flag.optional().default(false),
} satisfies Record<keyof InputFile, z.ZodType>);

const schemas = {
  resources: resources.transform(({ cpuMilli, memoryBytes }): ApiPart => ({
    ...(cpuMilli === undefined ? {} : { cpuMilli }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  })),
  timeLimitMs: milliseconds("time").transform((timeLimitMs): ApiPart => ({ timeLimitMs })),
  graceMs: milliseconds("grace").transform((graceMs): ApiPart => ({ graceMs })),
  hostLeaseMs: milliseconds("host-lease").transform((hostLeaseMs): ApiPart => ({ hostLeaseMs })),
  array: array.transform((value): ApiPart => ({ array: value })),
  dependencies: list(dependency).transform((dependencies): ApiPart => ({ dependencies })),
  volumes: list(
    z.preprocess((item) => (typeof item === "string" ? readers.volume(item, "volumes").volumes![0] : item), volume),
  ).transform((volumes): ApiPart => ({ volumes })),
  files: list(file).transform((files): ApiPart => ({ files })),
  network: word(Network).transform((network): ApiPart => (network === Network.UNSPECIFIED ? {} : { network })),
  onHostLost: word(OnHostLost).transform((onHostLost): ApiPart =>
    onHostLost === OnHostLost.UNSPECIFIED ? {} : { onHostLost },
  ),
} satisfies Readonly<Record<ApiField, z.ZodType<ApiPart>>>;

export const isApiField = (key: string): key is ApiField => Object.hasOwn(schemas, key);

/** Reads one field of the API's TaskSpec from its proto3 JSON. Throws `invalid`, naming the path (`resources.memoryBytes`) and the rule. */
export function readApiField(key: ApiField, value: unknown): ApiPart {
  const parsed = schemas[key].safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  if (issue.code === "unrecognized_keys")
    throw usageError(pathOf([key, ...issue.path, issue.keys[0]!]), `there is no such field${known(key, issue.path)}`);
  throw usageError(pathOf([key, ...issue.path]), missing(value, issue.path) ? "is missing" : issue.message);
}

/** The path that the user would write: `files[0].path`. */
const pathOf = (parts: readonly PropertyKey[]): string =>
  parts.map((part, at) => (typeof part === "number" ? `[${part}]` : `${at === 0 ? "" : "."}${String(part)}`)).join("");

function missing(value: unknown, path: readonly PropertyKey[]): boolean {
  let at = value;
  for (const part of path) at = (at as Record<PropertyKey, unknown> | undefined)?.[part];
  return at === undefined;
}

const shapes: Readonly<Record<string, readonly string[]>> = {
  resources: Object.keys(resources.shape),
  array: Object.keys(array.shape),
  dependencies: Object.keys(dependency.shape),
  volumes: Object.keys(volume.shape),
  files: Object.keys(file.shape),
};

function known(key: string, path: readonly PropertyKey[]): string {
  const names = shapes[key] ?? [];
  const easier = key === "resources" ? '; or write "cpu" and "mem" beside it' : "";
  return names.length > 0 && path.length < 2 ? `; there are ${names.join(", ")}${easier}` : "";
}
