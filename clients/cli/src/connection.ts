import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { AppError } from "@berth/core";
import { splitAddresses } from "@berth/contracts/channel";
import { connectBerth } from "@berth/sdk";
import type { Berth } from "@berth/sdk";
import { defaultDataDir } from "./cluster/layout.ts";

/** Which server, as whom. */
export interface Connection {
  /** A gateway, or several with commas. */
  readonly server: string;
  readonly key: string | undefined;
  readonly user: string | undefined;
  /** Where this was found, for messages. */
  readonly from: string;
}

/** The file that `berth login` writes; mode 0600. */
export function credentialsPath(env: NodeJS.ProcessEnv = process.env): string {
  return join(env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "berth", "credentials.json");
}

/** BERTH_SERVER and BERTH_KEY, else what `berth login` kept, else the cluster of this machine. Throws `unavailable` NO_SERVER. */
export function findConnection(env: NodeJS.ProcessEnv = process.env): Connection {
  const files = [credentialsPath(env), join(defaultDataDir(env), "client.json")];
  const found = files.map(readConnection).find((each) => each !== undefined);
  const server = env["BERTH_SERVER"];
  // A key is for one cluster: one of a file is not sent to a server that the file does not name.
  if (server)
    return {
      server,
      key: env["BERTH_KEY"] ?? (isAmong(server, found?.server) ? found?.key : undefined),
      user: undefined,
      from: "BERTH_SERVER",
    };
  if (!found) throw new AppError("unavailable", "NO_SERVER", "there is no cluster that this machine knows of");
  return env["BERTH_KEY"] ? { ...found, key: env["BERTH_KEY"] } : found;
}

function isAmong(servers: string, known: string | undefined): boolean {
  const all = new Set(splitAddresses(known ?? ""));
  return splitAddresses(servers).every((server) => all.has(server));
}

function readConnection(path: string): Connection | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined; // not there, or another user's
  }
  const fault = (what: string): AppError =>
    new AppError("invalid", "BAD_CREDENTIALS_FILE", `${path} is damaged (${what}); remove it and log in again`, {
      metadata: { path },
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fault("it is not JSON");
  }
  const found = typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
  for (const [name, content] of Object.entries(found)) {
    if (!members.has(name)) throw fault(`${name}: unknown member`);
    if (typeof content !== "string") throw fault(`${name}: must be a string`);
  }
  const { server, key, user } = found as Partial<Record<"server" | "key" | "user", string>>;
  if (!server) throw fault("server: is missing");
  return { server, key, user, from: path };
}

const members: ReadonlySet<string> = new Set(["server", "key", "user"]);

/** Keeps a connection for this machine's user; readable by nobody else at any moment. */
export function keepConnection(
  connection: { readonly server: string; readonly user: string; readonly key: string },
  env: NodeJS.ProcessEnv = process.env,
): string {
  const path = credentialsPath(env);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const part = `${path}.${process.pid}.part`;
  writeFileSync(part, `${JSON.stringify(connection, null, 2)}\n`, { mode: 0o600 });
  renameSync(part, path);
  return path;
}

export interface ConnectSettings {
  /** How long a cluster that does not answer is tried. */
  readonly patienceMs?: number;
}

/** Runs `fn` with the cluster of this machine's user. */
export async function withBerth<T>(fn: (berth: Berth) => Promise<T>, settings: ConnectSettings = {}): Promise<T> {
  const { server, key } = findConnection();
  const berth = connectBerth({ address: server, credential: key, ...settings });
  try {
    return await fn(berth);
  } finally {
    berth.close();
  }
}
