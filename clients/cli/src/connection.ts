import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { X509Certificate } from "node:crypto";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { AppError } from "@berth/core";
import { splitAddresses } from "@berth/contracts/channel";
import { connectBerth } from "@berth/sdk";
import type { Berth } from "@berth/sdk";
import { defaultDataDir } from "@berth/local/layout";

/** Which server to call, and as which user. */
export interface Connection {
  /** A gateway, or several with commas. */
  readonly server: string;
  readonly key: string | undefined;
  readonly user: string | undefined;
  /** Whom the server's certificate must be signed by, see `ConnectOptions.ca`; plain text without it. */
  readonly ca: string | undefined;
  /** The file or variable that named the server, for messages. */
  readonly from: string;
}

/** Who calls, and from where: what decides which cluster a command talks to. */
export interface Caller {
  /** What `--server` says before the command; stronger than BERTH_SERVER. */
  readonly server: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/** What `berth login` keeps. */
interface Credentials {
  readonly server: string;
  readonly key?: string | undefined;
  readonly user?: string | undefined;
  readonly ca?: string | undefined;
  /** The client file of a cluster on this machine that `berth up` chose after the login; used in place of the login's server. */
  readonly instead?: string | undefined;
}

/** The file that `berth login` writes; mode 0600. */
export function credentialsPath(env: NodeJS.ProcessEnv): string {
  return join(env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "berth", "credentials.json");
}

/** `--server`, else BERTH_SERVER, with BERTH_KEY, else the later one of `berth login` and `berth up`, else the cluster of this machine. Throws `unavailable` NO_SERVER. */
export function findConnection({ server: given, env }: Caller): Connection {
  const login = readConnection(credentialsPath(env));
  const here = login?.instead === undefined ? undefined : readConnection(login.instead);
  const found = here ?? login ?? readConnection(join(defaultDataDir(env), "client.json"));
  const server = given || env["BERTH_SERVER"];
  // A key belongs to one cluster: the key of a file is sent only to servers that the file names.
  if (server)
    return {
      server,
      key: env["BERTH_KEY"] ?? (isAmong(server, found?.server) ? found?.key : undefined),
      user: undefined,
      ca: authorityOf(env) ?? (isAmong(server, found?.server) ? found?.ca : undefined),
      from: given ? "--server" : "BERTH_SERVER",
    };
  if (!found) throw new AppError("unavailable", "NO_SERVER", "there is no cluster that this machine knows of");
  return env["BERTH_KEY"] ? { ...found, key: env["BERTH_KEY"] } : found;
}

/** BERTH_CA: a file with the cluster's authority, or `system`. */
function authorityOf(env: NodeJS.ProcessEnv): string | undefined {
  const path = env["BERTH_CA"];
  return !path || path === "system" ? path || undefined : readAuthority(path);
}

/** The PEM text of an authority. Throws `invalid` BAD_AUTHORITY_FILE. */
export function readAuthority(path: string): string {
  try {
    const text = readFileSync(path, "utf8");
    void new X509Certificate(text);
    return text;
  } catch (error) {
    throw new AppError("invalid", "BAD_AUTHORITY_FILE", `${path} holds no certificate: ${(error as Error).message}`);
  }
}

function isAmong(servers: string, known: string | undefined): boolean {
  const all = new Set(splitAddresses(known ?? ""));
  return splitAddresses(servers).every((server) => all.has(server));
}

/** The login that the last `berth login` stored, even if `berth up` has chosen another cluster since. */
export const keptLogin = (env: NodeJS.ProcessEnv): Connection | undefined => readConnection(credentialsPath(env));

/** Chooses the cluster of this machine over the login that was kept. Answers the login's server where that changes anything. */
export function chooseClusterHere(clientFile: string, env: NodeJS.ProcessEnv): string | undefined {
  const login = usableLogin(env);
  if (!login || login.instead === clientFile || login.server === readConnection(clientFile)?.server) return undefined;
  keep({ server: login.server, user: login.user, key: login.key, ca: login.ca, instead: clientFile }, env);
  return login.server;
}

/** Goes back to the login that `chooseClusterHere` set aside. Answers its server where that changes anything. */
export function leaveClusterHere(clientFile: string, env: NodeJS.ProcessEnv): string | undefined {
  const login = usableLogin(env);
  if (login?.instead !== clientFile) return undefined;
  keep({ server: login.server, user: login.user, key: login.key, ca: login.ca }, env);
  return login.server;
}

/** A damaged file is no reason for a cluster not to come up or go down. */
function usableLogin(env: NodeJS.ProcessEnv) {
  try {
    return readConnection(credentialsPath(env));
  } catch {
    return undefined;
  }
}

function readConnection(path: string): (Connection & Pick<Credentials, "instead">) | undefined {
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
  const { server, key, user, ca, instead } = found as Partial<Credentials>;
  if (!server) throw fault("server: is missing");
  return { server, key, user, ca, instead, from: path };
}

const members: ReadonlySet<string> = new Set([
  "server",
  "key",
  "user",
  "ca",
  "instead",
] satisfies (keyof Credentials)[]);

/** Stores a connection for this user. The file is never readable by other users, not even while it is written. */
export const keepConnection = (
  connection: {
    readonly server: string;
    readonly user: string;
    readonly key: string;
    readonly ca?: string | undefined;
  },
  env: NodeJS.ProcessEnv,
): string => keep(connection, env);

function keep(credentials: Credentials, env: NodeJS.ProcessEnv): string {
  const path = credentialsPath(env);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const part = `${path}.${process.pid}.part`;
  writeFileSync(part, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 });
  renameSync(part, path);
  return path;
}

export interface ConnectSettings {
  /** How long a call is retried while the cluster does not answer. */
  readonly patienceMs?: number;
}

/** Runs `fn` with the caller's cluster. */
export async function withBerth<T>(
  caller: Caller,
  fn: (berth: Berth) => Promise<T>,
  settings: ConnectSettings = {},
): Promise<T> {
  const { server, key, ca } = findConnection(caller);
  const berth = connectBerth({ address: server, credential: key, ca, ...settings });
  try {
    return await fn(berth);
  } finally {
    berth.close();
  }
}
