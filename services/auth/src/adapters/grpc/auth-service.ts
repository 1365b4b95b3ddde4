import { AppError, invalidField } from "@berth/core";
import { toFailure } from "@berth/contracts";
import type { AuthServiceService, ResolveSubmit, ResolvedSubmit } from "@berth/contracts/auth";
import type { AuthPlugin, AuthUser } from "@berth/plugins";
import type { Logger, ServiceImplementation } from "@berth/runtime";
import type { LoginGuard } from "../../domain/login-guard.ts";
import type { NewUser } from "../../domain/new-user.ts";
import type { TokenSigner } from "../jwt/token-signer.ts";
import type { ApiKeys } from "../local/api-keys.ts";
import type { Accounts, StoredKey } from "../../ports/accounts.ts";
import type { hostCalls } from "./host-calls.ts";
import { fromWireUser, toWireIdentity, toWireKey, toWireMount, toWireUser } from "./codec.ts";

export interface AuthServiceDeps {
  readonly guard: LoginGuard;
  readonly logger: Logger;
  readonly now: () => Date;
  /** Whether the data directory has a file of that name. Removes the file. */
  provesDataAccess(name: string): boolean;
  readonly provider: AuthPlugin;
  readonly signer: TokenSigner;
  readonly keys: ApiKeys;
  readonly accounts: Accounts;
  createUser(wish: NewUser, password: string): Promise<AuthUser>;
}

const sessionEnded = (why: string): AppError => new AppError("denied", "SESSION_ENDED", why);

/** Most owners of tasks that one call may look up. */
const mostOwners = 10_000;
const longestTtlMs = 10 * 365 * 86_400_000;

/** AuthService, for other services of the cluster only. */
export function authService({
  provider,
  signer,
  keys,
  accounts,
  createUser,
  guard,
  logger,
  now,
  provesDataAccess,
}: AuthServiceDeps): Omit<ServiceImplementation<AuthServiceService>, keyof ReturnType<typeof hostCalls>> {
  async function known(name: string): Promise<AuthUser> {
    const user = await provider.getUser(name);
    if (!user)
      throw new AppError("not-found", "USER_NOT_FOUND", `no user ${JSON.stringify(name.slice(0, 40))}`, {
        metadata: { user: name.slice(0, 40) },
      });
    return user;
  }
  /** The key with which a session began. Throws `denied` SESSION_ENDED if the key is revoked or has expired. */
  async function liveKey(user: string, id: string): Promise<StoredKey | undefined> {
    if (id === "") return undefined;
    const key = await accounts.key(id);
    if (!key || key.user !== user || (key.expiresAt && key.expiresAt <= now()))
      throw sessionEnded("the API key of this session is revoked or out of date");
    return key;
  }

  /** Refuses to make a first admin if there is one, unless the caller proves write access to this service's data. */
  async function checkFirst(name: string, rescue: string): Promise<void> {
    const admins = await accounts.admins();
    if (admins.length === 0) return;
    if (!provesDataAccess(rescue))
      throw new AppError(
        "precondition",
        "ADMIN_EXISTS",
        `this cluster has an admin already (${admins.slice(0, 3).join(", ")}), who may add users; where none can log in, give --rescue with auth's data directory`,
      );
    logger.warn("audit: an admin is made by somebody with access to the data directory", { user: name, admins });
  }

  /** Throws unless the provider is `local`, because other providers add and disable their users themselves. */
  function checkOwnUsers(): void {
    if (provider.getName() === "local") return;
    throw new AppError(
      "precondition",
      "USERS_ELSEWHERE",
      `users of this cluster are kept by ${provider.getName()}; add, change and disable them there`,
    );
  }

  const session = async (user: AuthUser, key?: StoredKey) => {
    const { accessToken, expiresAt } = await signer.sign(user, key);
    return { accessToken, expireTime: expiresAt, user: toWireUser(user) };
  };

  async function resolve(user: AuthUser, submit: ResolveSubmit): Promise<ResolvedSubmit> {
    try {
      if (!(await provider.canRun({ user, project: submit.project, image: submit.image }))) {
        throw new AppError("denied", "MAY_NOT_RUN", `user ${user.name} may not run this task here`, {
          metadata: { user: user.name },
        });
      }
      return { mounts: (await provider.getVolumes(user, submit.volumes)).map(toWireMount) };
    } catch (error) {
      return { mounts: [], failure: toFailure(AppError.from(error)) };
    }
  }

  return {
    async login({ user: name, password, address }) {
      // Directories ignore case and outer spaces of names, so all spellings of a name count for one account.
      const attempt = guard.begin(name.trim().toLowerCase(), address, performance.now());
      const user = await provider.bindCredentials(name, password).catch((error: unknown) => {
        attempt.undecided();
        throw error;
      });
      if (!user) {
        const about = { user: name.slice(0, 40), address, pauseMs: attempt.pauseMs };
        if (attempt.pauseMs > 0) logger.warn("audit: many wrong passwords; logins pause", about);
        else logger.info("audit: wrong password", about);
        throw new AppError("denied", "BAD_CREDENTIALS", "user and password do not belong together");
      }
      attempt.succeeded();
      return session(user);
    },
    async exchangeKey({ key }) {
      const user = await provider.bindApi(key);
      if (!user) throw new AppError("denied", "BAD_KEY", "this API key is unknown, revoked or out of date");
      // Providers may have keys of their own, which are not in our list and have no expiry that we know.
      return session(user, await keys.find(key));
    },
    async checkSession({ user: name, keyId }) {
      const user = await provider.getUser(name);
      if (!user || user.disabled) throw sessionEnded("the user of this session is disabled or unknown");
      await liveKey(name, keyId);
      return { user: toWireUser(user) };
    },
    getKeySet: async () => ({ jwksJson: signer.jwksJson }),
    async resolveSubmits({ user: name, submits }) {
      const user = await known(name);
      return {
        identity: toWireIdentity(user),
        results: await Promise.all(submits.map((submit) => resolve(user, submit))),
      };
    },
    getUser: async ({ user }) => ({ user: toWireUser(await known(user)) }),
    async listDisabledUsers({ among }) {
      const listed = (await provider.disabledUsers?.()) ?? [];
      if (provider.getName() === "local") return { users: [...listed] };
      // A provider's list may be incomplete: removed users, or users who left a group, are missing.
      const asked = among.slice(0, mostOwners);
      const found = await Promise.all(asked.map((name) => provider.getUser(name)));
      return { users: [...new Set([...listed, ...asked.filter((_, at) => found[at]?.disabled ?? true)])] };
    },
    async createUser({ user, password, first }) {
      checkOwnUsers();
      if (!user) throw invalidField("user", "is missing");
      if (first) await checkFirst(user.name, first.rescue);
      return { user: toWireUser(await createUser(fromWireUser(user), password)) };
    },
    async setUserDisabled({ user: name, disabled, by }) {
      checkOwnUsers();
      const user = await known(name);
      if (disabled && user.role === "admin" && (await accounts.admins()).every((admin) => admin === name))
        throw new AppError("precondition", "LAST_ADMIN", `${name} is the only admin; make another one first`);
      const changed = await accounts.setDisabled(name, disabled);
      logger.info(`audit: user ${disabled ? "disabled" : "enabled"}`, { user: name, by });
      return { user: toWireUser(changed ?? user) };
    },
    async createKey({ user, name, ttlMs, byKeyId }) {
      if (!/^[^\p{C}]{1,64}$/u.test(name))
        throw invalidField("name", "must have 1 to 64 printable characters", "INVALID_NAME");
      if (!(ttlMs >= 0 && ttlMs <= longestTtlMs))
        throw invalidField("ttl_ms", "must be 0 (until revoked) or at most ten years", "INVALID_TTL");
      const maker = await liveKey(user, byKeyId);
      if (maker?.expiresAt && (ttlMs === 0 || now().getTime() + ttlMs > maker.expiresAt.getTime()))
        throw new AppError(
          "denied",
          "KEY_OUTLIVES_MAKER",
          `ttl_ms: a key must not outlive the one that makes it, which ends at ${maker.expiresAt.toISOString()}`,
          { metadata: { field: "ttl_ms", ends_at: maker.expiresAt.toISOString() } },
        );
      const { key, info } = await keys.create((await known(user)).name, name, ttlMs);
      logger.info("audit: key made", { user, key: info.id, byKey: byKeyId });
      return { key, info: toWireKey(info) };
    },
    listKeys: async ({ user }) => ({ keys: (await accounts.keysOf(user)).map(toWireKey) }),
    async revokeKey({ user, id }) {
      if (!(await accounts.removeKey(user, id)))
        throw new AppError("not-found", "KEY_NOT_FOUND", `no API key ${JSON.stringify(id.slice(0, 40))}`);
      logger.info("audit: key revoked", { user, key: id });
      return {};
    },
    async listVolumes({ user }) {
      const grants = await provider.getVolumes(await known(user));
      return { volumes: grants.map(toWireMount).toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
    },
  };
}
