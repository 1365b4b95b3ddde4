import { AppError, invalidField } from "@berth/core";
import { toFailure } from "@berth/contracts";
import type { AuthServiceService, ResolveSubmit, ResolvedSubmit } from "@berth/contracts/auth";
import type { AuthPlugin, AuthUser } from "@berth/plugins";
import type { ServiceImplementation } from "@berth/runtime";
import type { NewUser } from "../../domain/new-user.ts";
import type { TokenSigner } from "../jwt/token-signer.ts";
import type { ApiKeys } from "../local/api-keys.ts";
import type { Accounts } from "../../ports/accounts.ts";
import { fromWireUser, toWireIdentity, toWireKey, toWireMount, toWireUser } from "./codec.ts";

export interface AuthServiceDeps {
  readonly provider: AuthPlugin;
  readonly signer: TokenSigner;
  readonly keys: ApiKeys;
  readonly accounts: Accounts;
  createUser(wish: NewUser, password: string): Promise<AuthUser>;
}

const longestTtlMs = 10 * 365 * 86_400_000;

/** AuthService: for other services, who have shown the cluster's secret. */
export function authService({
  provider,
  signer,
  keys,
  accounts,
  createUser,
}: AuthServiceDeps): ServiceImplementation<AuthServiceService> {
  async function known(name: string): Promise<AuthUser> {
    const user = await provider.getUser(name);
    if (!user)
      throw new AppError("not-found", "USER_NOT_FOUND", `no user ${JSON.stringify(name.slice(0, 40))}`, {
        metadata: { user: name.slice(0, 40) },
      });
    return user;
  }
  const session = async (user: AuthUser) => {
    const { accessToken, expiresAt } = await signer.sign(user);
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
    async login({ user: name, password }) {
      const user = await provider.bindCredentials(name, password);
      if (!user) throw new AppError("denied", "BAD_CREDENTIALS", "user and password do not belong together");
      return session(user);
    },
    async exchangeKey({ key }) {
      const user = await provider.bindApi(key);
      if (!user) throw new AppError("denied", "BAD_KEY", "this API key is unknown, revoked or out of date");
      return session(user);
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
    async createUser({ user, password }) {
      if (!user) throw invalidField("user", "is missing");
      return { user: toWireUser(await createUser(fromWireUser(user), password)) };
    },
    async createKey({ user, name, ttlMs }) {
      if (!/^[^\p{C}]{1,64}$/u.test(name))
        throw invalidField("name", "must have 1 to 64 printable characters", "INVALID_NAME");
      if (!(ttlMs >= 0 && ttlMs <= longestTtlMs))
        throw invalidField("ttl_ms", "must be 0 (until revoked) or at most ten years", "INVALID_TTL");
      const { key, info } = await keys.create((await known(user)).name, name, ttlMs);
      return { key, info: toWireKey(info) };
    },
    listKeys: async ({ user }) => ({ keys: (await accounts.keysOf(user)).map(toWireKey) }),
    async revokeKey({ user, id }) {
      if (!(await accounts.removeKey(user, id)))
        throw new AppError("not-found", "KEY_NOT_FOUND", `no API key ${JSON.stringify(id.slice(0, 40))}`);
      return {};
    },
    async listVolumes({ user }) {
      const grants = await provider.getVolumes(await known(user));
      return { volumes: grants.map(toWireMount).toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
    },
  };
}
