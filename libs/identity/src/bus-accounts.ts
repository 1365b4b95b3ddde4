import {
  createAccount,
  createOperator,
  createUser,
  encodeAccount,
  encodeOperator,
  encodeUser,
  fmtCreds,
  fromPublic,
  fromSeed,
} from "@nats-io/jwt";
import type { Permissions } from "@nats-io/jwt";
import { inboxPrefixOf, subjects } from "@berth/contracts";

/** Keys that sign the accounts of the bus, as they are stored: seeds of nkeys. */
export interface StoredBusKeys {
  readonly operatorSeed: string;
  readonly accountSeed: string;
  readonly systemSeed: string;
}

/** A user of the bus, whose role decides its permissions. */
export type BusUser =
  | { readonly role: "scheduler" }
  | { readonly role: "watcher" }
  | { readonly role: "agent"; readonly host: string };

/** Signs JWTs for NATS: one account for Berth, and in it one user per service and per host. */
export interface BusAccounts {
  readonly operatorJwt: string;
  readonly systemAccountId: string;
  readonly systemAccountJwt: string;
  readonly accountId: string;
  /** The account with its list of revoked users (public key and second of the revocation). */
  accountJwt(revoked?: Readonly<Record<string, number>>): Promise<string>;
  /** JWT for the public key of a host, which keeps the private one. */
  userJwt(publicKey: string, user: BusUser, expires?: Date): Promise<string>;
  /** Key and JWT of a service, in the format of a credentials file. */
  credentials(user: BusUser): Promise<string>;
  /** Credentials of a user that may replace accounts; only for auth. */
  systemCredentials(): Promise<string>;
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

export const newBusKeys = (): StoredBusKeys => ({
  operatorSeed: text(createOperator().getSeed()),
  accountSeed: text(createAccount().getSeed()),
  systemSeed: text(createAccount().getSeed()),
});

/** A host's key for the bus. `seed` stays on the host, `publicKey` is sent. */
export function newBusKey(): { readonly seed: string; readonly publicKey: string } {
  const pair = createUser();
  return { seed: text(pair.getSeed()), publicKey: pair.getPublicKey() };
}

/** The content of a credentials file. */
export const busCredentials = (jwt: string, seed: string): string =>
  text(fmtCreds(jwt, fromSeed(new TextEncoder().encode(seed))));

/** Whether that is the public half of a user's key. */
export function isBusKey(publicKey: string): boolean {
  try {
    fromPublic(publicKey);
    return publicKey.startsWith("U");
  } catch {
    return false;
  }
}

/** One answer per request, within the longest time that a request waits. */
const answersTo = { max: 1, ttl: 60_000_000_000 };

function permissionsOf(user: BusUser): Permissions {
  const inbox = `${inboxPrefixOf(user)}.>`;
  const { assign, report, sync, wake } = subjects;
  if (user.role === "scheduler") return { pub: { allow: [assign.all] }, sub: { allow: [inbox] } };
  if (user.role === "watcher")
    return { pub: { allow: [wake.all] }, sub: { allow: [inbox, sync.all, report.all] }, resp: answersTo };
  return {
    pub: { allow: [sync.of(user.host), report.of(user.host)] },
    sub: { allow: [inbox, assign.of(user.host), wake.of(user.host)] },
    resp: answersTo,
  };
}

export async function openBusAccounts(keys: StoredBusKeys): Promise<BusAccounts> {
  const pair = (seed: string) => fromSeed(new TextEncoder().encode(seed));
  const operator = pair(keys.operatorSeed);
  const account = pair(keys.accountSeed);
  const system = pair(keys.systemSeed);
  const unlimited = { subs: -1, data: -1, payload: -1 };
  const userJwt: BusAccounts["userJwt"] = (publicKey, user, expires) =>
    encodeUser(
      user.role === "agent" ? `agent ${user.host}` : user.role,
      fromPublic(publicKey),
      account,
      { ...permissionsOf(user), ...unlimited },
      expires ? { exp: Math.floor(expires.getTime() / 1000) } : {},
    );
  const limits = { ...unlimited, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  return {
    operatorJwt: await encodeOperator("berth", operator, { system_account: system.getPublicKey() }),
    systemAccountId: system.getPublicKey(),
    systemAccountJwt: await encodeAccount("system", system, { limits }, { signer: operator }),
    accountId: account.getPublicKey(),
    accountJwt: (revoked = {}) =>
      encodeAccount("berth", account, { limits, revocations: { ...revoked } }, { signer: operator }),
    userJwt,
    async credentials(user) {
      const { seed, publicKey } = newBusKey();
      return busCredentials(await userJwt(publicKey, user), seed);
    },
    async systemCredentials() {
      const { seed, publicKey } = newBusKey();
      const permissions = {
        pub: { allow: ["$SYS.REQ.CLAIMS.UPDATE"] },
        sub: { allow: [`${inboxPrefixOf({ role: "auth" })}.>`] },
      };
      const jwt = await encodeUser("auth", fromPublic(publicKey), system, { ...permissions, ...unlimited });
      return busCredentials(jwt, seed);
    },
  };
}
