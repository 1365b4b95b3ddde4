import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { engineClient } from "./engine-client.ts";
import type { Endpoint, EngineFacts } from "./engine-client.ts";

/** An engine that answers. */
export interface Engine extends Endpoint {
  /** How it was found, for people: DOCKER_HOST, context "x", or a socket. */
  readonly foundBy: string;
  readonly version: string;
  /** A rootless engine runs as the user who started it, and can use no other identity. */
  readonly rootless: boolean;
  readonly facts: EngineFacts;
}

type Env = Readonly<Record<string, string | undefined>>;
interface Candidate {
  readonly endpoint: Endpoint;
  readonly foundBy: string;
}

/**
 * Finds an engine: the one that DOCKER_HOST or a docker context names; without them the first socket, of the user or the system, that answers within 2 s.
 * Undefined if none answers. Never throws.
 */
export async function findEngine(env: Env, home: string): Promise<Engine | undefined> {
  for (const { endpoint, foundBy } of await candidates(env, home)) {
    const engine = await openEngine(endpoint, foundBy);
    if (engine) return engine;
  }
  return undefined;
}

/** That one engine, if it answers within 2 s. */
export async function openEngine(
  endpoint: Endpoint,
  foundBy = endpoint.socketPath ?? `${endpoint.host}:${endpoint.port}`,
): Promise<Engine | undefined> {
  try {
    const client = engineClient(endpoint);
    await client.ping(2000);
    const facts = await client.info(10_000);
    const rootless = (facts.SecurityOptions ?? []).some((option) => option.split(",").includes("name=rootless"));
    return { ...endpoint, foundBy, version: facts.ServerVersion, rootless, facts };
  } catch {
    return undefined;
  }
}

async function candidates(env: Env, home: string): Promise<readonly Candidate[]> {
  if (env["DOCKER_HOST"]) {
    const tls = env["DOCKER_TLS_VERIFY"] ? await readTls(env["DOCKER_CERT_PATH"] ?? join(home, ".docker")) : undefined;
    return known(parseHost(env["DOCKER_HOST"], tls), "DOCKER_HOST");
  }
  const folder = env["DOCKER_CONFIG"] ?? join(home, ".docker");
  const context = env["DOCKER_CONTEXT"] ?? (await currentContext(folder));
  if (context && context !== "default")
    return known(await contextEndpoint(folder, context), `docker context ${context}`);
  const sockets = [
    ...(env["XDG_RUNTIME_DIR"] ? [join(env["XDG_RUNTIME_DIR"], "docker.sock")] : []),
    join(home, ".docker/run/docker.sock"),
    join(home, ".docker/desktop/docker.sock"),
    "/var/run/docker.sock",
  ];
  return sockets.map((socketPath) => ({ endpoint: { socketPath }, foundBy: socketPath }));
}

const known = (endpoint: Endpoint | undefined, foundBy: string): readonly Candidate[] =>
  endpoint ? [{ endpoint, foundBy }] : [];

/** unix:///path or tcp://host:port; undefined for ssh:// and npipe://, which are not supported. */
export function parseHost(host: string, tls?: Endpoint["tls"]): Endpoint | undefined {
  if (host.startsWith("unix://")) return { socketPath: host.slice("unix://".length) };
  const match = /^(?:tcp|https?):\/\/(\[[0-9a-f:]+\]|[^:/]+)(?::(\d+))?\/?$/i.exec(host);
  if (!match) return undefined;
  const secure = tls !== undefined || host.startsWith("https:");
  return { host: match[1]!.replace(/^\[|\]$/g, ""), port: Number(match[2] ?? (secure ? 2376 : 2375)), tls };
}

async function currentContext(folder: string): Promise<string | undefined> {
  const config = await readJson(join(folder, "config.json"));
  return stringAt(config, "currentContext");
}

/** docker stores a context under the SHA-256 of its name. */
async function contextEndpoint(folder: string, name: string): Promise<Endpoint | undefined> {
  const id = createHash("sha256").update(name).digest("hex");
  const meta = await readJson(join(folder, "contexts/meta", id, "meta.json"));
  const host = stringAt(meta, "Endpoints", "docker", "Host");
  if (host === undefined) return undefined;
  return parseHost(
    host,
    host.startsWith("unix:") ? undefined : await readTls(join(folder, "contexts/tls", id, "docker")),
  );
}

async function readTls(folder: string): Promise<Endpoint["tls"]> {
  try {
    const [ca, cert, key] = await Promise.all(
      ["ca.pem", "cert.pem", "key.pem"].map((file) => readFile(join(folder, file))),
    );
    return { ca: ca!, cert: cert!, key: key! };
  } catch {
    return undefined;
  }
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch {
    return undefined;
  }
}

function stringAt(value: unknown, ...keys: readonly string[]): string | undefined {
  let at = value;
  for (const key of keys) at = typeof at === "object" && at !== null ? (at as Record<string, unknown>)[key] : undefined;
  return typeof at === "string" && at !== "" ? at : undefined;
}
