import { readFileSync, statSync } from "node:fs";
import { AppError, isSecretSetting, secretFileFault } from "@berth/core";
import { z } from "zod";

/** Sources of configuration. */
export interface ConfigSource {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of a JSON object with the same keys; default: the path in `BERTH_CONFIG`. */
  readonly file?: string;
}

/** A boolean: true and false in a file, also `true`, `false`, `1`, `0`, `yes`, `no` in the environment. */
export const flag = (): z.ZodUnion<[z.ZodBoolean, z.ZodType<boolean, string>]> =>
  z.union([z.boolean(), z.stringbool()]);

/** Keys that every service has; spread them into its shape. */
export const serviceKeys = {
  /** The lowest level that is logged. */
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
  /** `json` for programs, `pretty` for people, `auto`: pretty at a terminal. */
  logFormat: z.enum(["auto", "json", "pretty"]).default("auto"),
  /** Receiver of traces, as `http://host:4318/v1/traces`; without it there are no traces. */
  otlpUrl: z.url().optional(),
  /** Address of `/metrics` and `/healthz`, as `127.0.0.1:9100`; without it they are not served. */
  metricsAddress: z.string().optional(),
};

/** How the processes of a cluster authenticate to each other; one of the two is required. */
export const trustKeys = {
  /** The secret that all services of one machine share. */
  clusterSecret: z.string().min(16).optional(),
  /** Directory with this process's key and certificate (`identity.pem`), the cluster's authority (`ca.pem`) and its credentials on the bus (`bus.creds`). */
  identityDir: z.string().min(1).optional(),
};

/** Keys of a service that other services call. */
export const serverKeys = {
  ...serviceKeys,
  /** Address of the gRPC server: `127.0.0.1:0` or `unix:/path`. */
  listen: z.string().default("127.0.0.1:0"),
  ...trustKeys,
};

/** Keys of a service on the bus. */
export const busKeys = {
  /** Address of nats-server; several with commas. */
  natsUrl: z.string().min(1),
  /** Its account on nats-server; with an identity directory it is in `bus.creds`. */
  natsUser: z.string().min(1).optional(),
  natsPassword: z.string().min(1).optional(),
};

/** `mongodb://…/name` of a replica set. */
export const mongoUrl = (): z.ZodString =>
  z.string().regex(/^mongodb(\+srv)?:\/\//, "must begin with mongodb:// or mongodb+srv://");

/**
 * Reads the keys of `shape` from a file and, stronger, from the environment: `clusterSecret` is `BERTH_CLUSTER_SECRET`,
 * or the content of the file that `BERTH_CLUSTER_SECRET_FILE` (in the file: `clusterSecretFile`) names. Numbers want
 * `z.coerce.number()`; a value of the environment that begins with `{` or `[` is JSON.
 *
 * Throws one `invalid` CONFIG_INVALID that lists every fault, also unknown keys of the file and secrets in files that other users may read.
 */
export function readConfig<S extends z.ZodRawShape>(
  shape: S,
  source: ConfigSource,
): Readonly<z.output<z.ZodObject<S>>> {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  const path = source.file ?? source.env["BERTH_CONFIG"];
  const fromFile = path ? readJson(path, faults) : {};

  if (path && Object.entries(fromFile).some(([key, value]) => isSecretSetting(variable(key), String(value))))
    faults.push(...exposed(path));
  for (const key of Object.keys(fromFile)) {
    if (!(key in shape) && !(key.endsWith("File") && key.slice(0, -4) in shape))
      faults.push(`${path}: ${key}: unknown key`);
  }
  for (const key of Object.keys(shape)) {
    const name = variable(key);
    const candidates: readonly [string, unknown, "value" | "path"][] = [
      [name, fromEnvironment(source.env[name], name, faults), "value"],
      [`${name}_FILE`, source.env[`${name}_FILE`] || undefined, "path"],
      [`${path}: ${key}`, fromFile[key], "value"],
      [`${path}: ${key}File`, fromFile[`${key}File`], "path"],
    ];
    const found = candidates.find(([, value]) => value !== undefined);
    origins[key] = found?.[0] ?? name;
    if (found)
      values[key] =
        found[2] === "path" ? readSecret(String(found[1]), found[0], isSecretSetting(name, ""), faults) : found[1];
  }

  if ("identityDir" in shape && values["identityDir"] === undefined)
    for (const key of ["clusterSecret", "natsUser", "natsPassword"])
      if (key in shape && values[key] === undefined) faults.push(`${origins[key]}: is missing`);
  const parsed = z.object(shape).safeParse(values);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const [key, ...rest] = issue.path.map(String);
      const missing = key !== undefined && values[key] === undefined;
      faults.push(`${[key ? origins[key] : "", ...rest].join(".")}: ${missing ? "is missing" : issue.message}`);
    }
  }
  if (faults.length > 0 || !parsed.success) {
    throw new AppError("invalid", "CONFIG_INVALID", `the configuration is not valid:\n  ${faults.join("\n  ")}`);
  }
  return Object.freeze(parsed.data);
}

const variable = (key: string): string => `BERTH_${key.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase()}`;

function fromEnvironment(text: string | undefined, name: string, faults: string[]): unknown {
  if (text === undefined || text === "" || !/^[[{]/.test(text)) return text || undefined;
  try {
    return JSON.parse(text);
  } catch {
    faults.push(`${name}: is not JSON`);
    return text;
  }
}

function readJson(path: string, faults: string[]): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return { ...parsed };
    faults.push(`${path}: is not a JSON object`);
  } catch (error) {
    faults.push(`${path}: ${error instanceof SyntaxError ? "is not JSON" : "cannot be read"}`);
  }
  return {};
}

/** Removes a newline at the end, which editors add. */
function readSecret(path: string, name: string, isSecret: boolean, faults: string[]): string | undefined {
  try {
    if (isSecret) faults.push(...exposed(path).map((fault) => `${name}: ${fault}`));
    return readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch {
    faults.push(`${name}: ${path} cannot be read`);
    return undefined;
  }
}

function exposed(path: string): string[] {
  const fault = secretFileFault(path, statSync(path));
  return fault === undefined ? [] : [fault];
}
