import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "@berth/core";
import type { HostCredentials } from "@berth/contracts/types";
import { busCredentials, createRequest, newBusKey } from "@berth/identity";
import { connectBerth, fetchAuthority } from "@berth/sdk";
import { splitAddresses } from "@berth/contracts/channel";
import { writeFileWhole } from "./cluster-file.ts";

export interface JoinOptions {
  /** `host:port` of gateways, with commas. */
  readonly gateway: string;
  readonly token: string;
  /** Host name to join as; empty: the token's. */
  readonly host: string;
  /** Directory of the host's identity and settings. */
  readonly dir: string;
  readonly dataDir: string;
  readonly filesDir?: string | undefined;
  readonly driver: string;
}

export interface JoinedHost {
  readonly host: string;
  readonly cluster: string;
  readonly envFile: string;
  readonly expiresAt: Date;
}

/** Keys of a join. With the same token the machine repeats its request with the same keys, even if the first answer was lost. */
interface Attempt {
  readonly keyPem: string;
  readonly csrPem: string;
  readonly busSeed: string;
  readonly busKey: string;
}

/**
 * Makes this machine a host. Creates its keys, which never leave it, gets certificates for them with the token, then writes identity and settings, the settings last.
 * Safe to repeat with the same token, also after a lost answer. Throws `denied` BAD_HOST_TOKEN or OTHER_AUTHORITY, `conflict` HOST_JOINED, `invalid`, `unavailable`.
 */
export async function joinHost(options: JoinOptions): Promise<JoinedHost> {
  const fingerprint = /^berth-join_([0-9a-f]{64})_[A-Za-z0-9_-]{43}$/.exec(options.token)?.[1];
  if (fingerprint === undefined)
    throw new AppError("invalid", "BAD_HOST_TOKEN", "token: must be what berth host token showed, whole");
  mkdirSync(join(options.dir, "identity"), { recursive: true, mode: 0o700 });
  const ca = await firstAuthority(options.gateway, fingerprint);
  const attemptFile = join(
    options.dir,
    `joining-${createHash("sha256").update(options.token).digest("hex").slice(0, 16)}.json`,
  );
  const attempt = await attemptIn(attemptFile);
  const { token, host } = options;
  const berth = connectBerth({ address: options.gateway, ca });
  let credentials: HostCredentials | undefined;
  try {
    ({ credentials } = await berth.hosts.joinHost({ token, host, csrPem: attempt.csrPem, busKey: attempt.busKey }));
  } finally {
    berth.close();
  }
  if (!credentials) throw new AppError("internal", "PEER_FAILED", "the gateway sent no credentials");
  return write(options, attempt, credentials, attemptFile);
}

/** Asks the gateways in turn until one answers. */
async function firstAuthority(gateways: string, fingerprint: string): Promise<string> {
  let failure: unknown;
  for (const address of splitAddresses(gateways)) {
    try {
      return await fetchAuthority(address, fingerprint);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure ?? new AppError("invalid", "ADDRESS_INVALID", "no address of a gateway is given");
}

async function attemptIn(path: string): Promise<Attempt> {
  if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8")) as Attempt;
  const { keyPem, csrPem } = await createRequest();
  const { seed: busSeed, publicKey: busKey } = newBusKey();
  const attempt: Attempt = { keyPem, csrPem, busSeed, busKey };
  writeFileWhole(path, JSON.stringify(attempt));
  return attempt;
}

function write(options: JoinOptions, attempt: Attempt, given: HostCredentials, attemptFile: string): JoinedHost {
  const { dir } = options;
  const identity = join(dir, "identity");
  const envFile = join(dir, "service.env");
  const settings = {
    BERTH_CLUSTER_ID: given.clusterId,
    BERTH_HOST_ID: given.host,
    BERTH_IDENTITY_DIR: identity,
    BERTH_GATEWAY: options.gateway,
    BERTH_NATS_URL: given.natsUrl,
    BERTH_DATA_DIR: options.dataDir,
    BERTH_DRIVER: options.driver,
    ...(options.filesDir ? { BERTH_FILES_DIR: options.filesDir } : { BERTH_STORAGE: given.storage }),
  };
  writeFileWhole(join(identity, "ca.pem"), given.authorityPem);
  // This request also renews the certificate. It is no secret, because only the owner of the key can use the answer.
  writeFileWhole(join(identity, "request.pem"), attempt.csrPem);
  writeFileWhole(join(identity, "bus.pub"), `${attempt.busKey}\n`);
  writeFileWhole(join(identity, "bus.creds"), busCredentials(given.busJwt, attempt.busSeed));
  writeFileWhole(join(identity, "identity.pem"), attempt.keyPem + given.certificatePem + given.authorityPem);
  writeFileWhole(
    envFile,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
  // This one stays, so that the same token answers this machine again.
  for (const name of readdirSync(dir))
    if (name.startsWith("joining-") && join(dir, name) !== attemptFile) rmSync(join(dir, name));
  return { host: given.host, cluster: given.clusterId, envFile, expiresAt: given.expireTime ?? new Date(0) };
}
