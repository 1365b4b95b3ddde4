import { createHash, randomBytes, randomInt } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "@berth/core";
import { isToken } from "@berth/contracts";
import type { ServiceRole } from "@berth/contracts";
import { splitAddresses } from "@berth/contracts/channel";
import { createAuthority, fingerprintOf, newBusKeys, openAuthority, openBusAccounts } from "@berth/identity";
import type { BusAccounts, CertificateAuthority } from "@berth/identity";
import { writeFileWhole } from "./cluster-file.ts";

export interface InitOptions {
  /** Directory to write to, and the path of each part on its machine: `/etc/berth`. */
  readonly dir: string;
  readonly cluster: string;
  /** `host:port` of each copy, with commas. */
  readonly addresses: Readonly<Record<ServiceRole, string>>;
  /** Parent of the services' data directories. */
  readonly dataDir: string;
  /** Root of the tasks' files, if hosts share it with storage. */
  readonly filesDir?: string | undefined;
  readonly database?: string | undefined;
  /** Further names and addresses of the gateways for their users. */
  readonly names: readonly string[];
  readonly admin: { readonly name: string; readonly uid: number };
  readonly now: Date;
}

/** A copy of a service, and its directory. */
export interface InitialisedService {
  readonly name: string;
  readonly role: ServiceRole;
  readonly address: string;
  /** The only directory that its machine needs. */
  readonly dir: string;
}

export interface InitialisedCluster {
  readonly services: readonly InitialisedService[];
  readonly authorityFile: string;
  readonly fingerprint: string;
  readonly adminKeyFile: string;
}

/** Prefix of the directory in which an attempt writes everything first. */
const draftPrefix = ".init-";

const roles: readonly ServiceRole[] = ["nats", "storage", "auth", "scheduler", "watcher", "gateway"];

/** Ports of addresses that name none. */
export const defaultPorts: Readonly<Record<ServiceRole, number>> = {
  nats: 4222,
  storage: 7001,
  auth: 7011,
  scheduler: 7021,
  watcher: 7031,
  gateway: 7431,
};

/**
 * Makes a cluster's authority, the accounts of its bus, its first admin, and for each copy of a service a directory with its identity and its settings. `ca.pem` is
 * written last; without it an interrupted attempt can be repeated. Throws `conflict` CLUSTER_EXISTS if `dir` has a cluster or a part of one.
 */
export async function initCluster(options: InitOptions): Promise<InitialisedCluster> {
  const { dir, cluster, now } = options;
  if (!isToken(cluster)) throw new AppError("invalid", "BAD_CLUSTER_ID", "--cluster: must be 1 to 64 of [A-Za-z0-9_-]");
  if (existsSync(join(dir, "ca.pem")))
    throw new AppError(
      "conflict",
      "CLUSTER_EXISTS",
      `${dir} holds a cluster already; berth init --renew makes its certificates anew`,
    );
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  const stored = await createAuthority(cluster, now);
  const busKeys = newBusKeys();
  const authority = await openAuthority(stored);
  const bus = await openBusAccounts(busKeys);
  const services = servicesOf(options);
  const names = [...services.map(({ name }) => name), "admin"];
  const drafts = readdirSync(dir).filter((name) => name.startsWith(draftPrefix));
  const present = names.find((name) => existsSync(join(dir, name)));
  // On a machine that got only its own directory: auth's has the authority's only key.
  if (present !== undefined && drafts.length === 0)
    throw new AppError(
      "conflict",
      "CLUSTER_EXISTS",
      `${join(dir, present)} belongs to a cluster already; choose another directory, or remove it`,
    );
  const part = join(dir, `${draftPrefix}${process.pid}`);
  rmSync(part, { recursive: true, force: true });
  for (const service of services) await writeService(part, service, options, { authority, bus });

  const authDirs = services.filter(({ role }) => role === "auth").map(({ name }) => join(part, name));
  const key = newApiKey();
  for (const path of authDirs) {
    writePrivate(join(path, "authority", "ca-key.pem"), stored.keyPem);
    writePrivate(join(path, "authority", "ca.pem"), stored.certificatePem);
    writePrivate(join(path, "authority", "bus-keys.json"), `${JSON.stringify(busKeys, null, 2)}\n`);
    writePrivate(
      join(path, "first-admin.json"),
      `${JSON.stringify({ ...options.admin, keyId: key.id, keyHash: key.hash }, null, 2)}\n`,
    );
  }
  writePrivate(join(part, "admin", "key"), `${key.text}\n`);
  for (const name of names) {
    rmSync(join(dir, name), { recursive: true, force: true }); // left by an interrupted attempt
    renameSync(join(part, name), join(dir, name));
  }
  writeFileWhole(join(dir, "ca.pem"), stored.certificatePem, 0o644);
  // Last, because a draft shows that directories without ca.pem are of an interrupted attempt.
  for (const draft of [...drafts, `${draftPrefix}${process.pid}`])
    rmSync(join(dir, draft), { recursive: true, force: true });
  return {
    services,
    authorityFile: join(dir, "ca.pem"),
    fingerprint: fingerprintOf(stored.certificatePem),
    adminKeyFile: join(dir, "admin", "key"),
  };
}

/**
 * Renews the certificates of services in all directories below `dir` that have an identity, with the authority in `authDir` (auth's directory). Services load them
 * without a restart, nats-server at SIGHUP. Returns the directories.
 */
export async function renewServices(
  dir: string,
  authDir: string,
  now: Date,
  names: readonly string[],
): Promise<string[]> {
  const read = (name: string): string => {
    try {
      return readFileSync(join(authDir, "authority", name), "utf8");
    } catch (error) {
      const why = (error as Error).message;
      throw new AppError("invalid", "BAD_AUTHORITY", `--renew: must be auth's directory, with the authority: ${why}`);
    }
  };
  const authority = await openAuthority({ keyPem: read("ca-key.pem"), certificatePem: read("ca.pem") });
  const { identityInPem } = await import("./identity-pem.ts");
  const { readdirSync } = await import("node:fs");
  const renewed: string[] = [];
  for (const name of readdirSync(dir)) {
    const path = join(dir, name, "identity", "identity.pem");
    if (!existsSync(path)) continue;
    const { identity, names: before } = identityInPem(readFileSync(path, "utf8"));
    if (identity.role === "agent") continue;
    const { pem } = await authority.issueService(identity, { now, names: [...new Set([...before, ...names])] });
    writeFileWhole(path, pem);
    renewed.push(join(dir, name));
  }
  return renewed;
}

function servicesOf({ addresses, dir }: InitOptions): InitialisedService[] {
  return roles.flatMap((role) => {
    const all = splitAddresses(addresses[role]);
    return all.map((address, at) => {
      const name = all.length > 1 ? `${role}-${at + 1}` : role;
      return { name, role, address, dir: join(dir, name) };
    });
  });
}

async function writeService(
  part: string,
  service: InitialisedService,
  options: InitOptions,
  { authority, bus }: { authority: CertificateAuthority; bus: BusAccounts },
): Promise<void> {
  const { role, name, address } = service;
  const identity = { cluster: options.cluster, role };
  const names = role === "gateway" ? [...new Set([hostOf(address), ...options.names])] : [];
  const { pem } = await authority.issueService(identity, { now: options.now, names });
  const own = join(part, name);
  writePrivate(join(own, "identity", "identity.pem"), pem);
  writePrivate(join(own, "identity", "ca.pem"), authority.certificatePem);
  const credentials =
    role === "scheduler" || role === "watcher"
      ? await bus.credentials({ role })
      : role === "auth"
        ? await bus.systemCredentials()
        : undefined;
  if (credentials !== undefined) writePrivate(join(own, "identity", "bus.creds"), credentials);
  if (role === "nats") return writePrivate(join(own, "nats.conf"), await natsConfig(service, bus));
  const lines = Object.entries(settingsOf(service, options)).map(([key, value]) => `${key}=${value}\n`);
  writePrivate(join(own, "service.env"), lines.join(""));
}

function settingsOf({ role, name, address, dir }: InitialisedService, options: InitOptions): Record<string, string> {
  const { addresses, database, filesDir } = options;
  const common = {
    BERTH_CLUSTER_ID: options.cluster,
    BERTH_IDENTITY_DIR: join(dir, "identity"),
    BERTH_LISTEN: address,
  };
  const data = {
    BERTH_DATA_DIR: join(options.dataDir, name),
    ...(database ? { BERTH_DATABASE: database } : {}),
  };
  switch (role) {
    case "storage":
      return { ...common, ...data, ...(filesDir ? { BERTH_FILES_DIR: filesDir } : {}), BERTH_AUTH: addresses.auth };
    case "auth":
      return {
        ...common,
        ...data,
        BERTH_AUTHORITY_DIR: join(dir, "authority"),
        BERTH_FIRST_ADMIN: join(dir, "first-admin.json"),
        // Sent to each joining host.
        BERTH_STORAGE: addresses.storage,
        BERTH_NATS_URL: addresses.nats,
      };
    case "scheduler":
    case "watcher":
      return {
        ...common,
        BERTH_STORAGE: addresses.storage,
        BERTH_NATS_URL: addresses.nats,
        ...(role === "scheduler" ? { BERTH_AUTH: addresses.auth } : {}),
      };
    case "gateway":
      return {
        ...common,
        BERTH_STORAGE: addresses.storage,
        BERTH_AUTH: addresses.auth,
        BERTH_SCHEDULER: addresses.scheduler,
        BERTH_WATCHER: addresses.watcher,
      };
    case "nats":
      return {};
  }
}

/** Configuration of nats-server. Only auth changes accounts, over the bus, so a host that joins or is revoked needs no change of this file. */
const natsConfig = async (
  { address, dir }: InitialisedService,
  bus: BusAccounts,
): Promise<string> => `# Made by berth init.
listen: ${JSON.stringify(address)}
max_payload: 8388608
operator: ${bus.operatorJwt}
system_account: ${bus.systemAccountId}
resolver: { type: full, dir: ${JSON.stringify(join(dir, "accounts"))}, allow_delete: false, interval: "2m" }
resolver_preload: {
  ${bus.systemAccountId}: ${bus.systemAccountJwt}
  ${bus.accountId}: ${await bus.accountJwt()}
}
tls {
  cert_file: ${JSON.stringify(join(dir, "identity", "identity.pem"))}
  key_file: ${JSON.stringify(join(dir, "identity", "identity.pem"))}
  ca_file: ${JSON.stringify(join(dir, "identity", "ca.pem"))}
  verify: true
}
`;

const hostOf = (address: string): string => address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");

function writePrivate(path: string, content: string): void {
  mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
  writeFileWhole(path, content);
}

/** In the format of auth (`domain/api-key.ts`); auth gets only the hash. */
function newApiKey(): { id: string; text: string; hash: string } {
  const id = Array.from({ length: 12 }, () => "abcdefghijklmnopqrstuvwxyz0123456789"[randomInt(36)]).join("");
  const secret = randomBytes(32).toString("base64url");
  return { id, text: `berth_${id}_${secret}`, hash: createHash("sha256").update(secret).digest("hex") };
}
