import { AppError } from "@berth/core";
import type { AuthServiceService } from "@berth/contracts/auth";
import type { ServiceImplementation } from "@berth/runtime";
import type { HostMembership } from "../../app/join-hosts.ts";
import { LoginGuard } from "../../domain/login-guard.ts";

/** Settings that a host gets with its credentials. */
export interface HostSettings {
  readonly authorityPem: string;
  readonly clusterId: string;
  readonly natsUrl: string;
  readonly storage: string;
}

type HostCalls = Pick<
  ServiceImplementation<AuthServiceService>,
  "createHostToken" | "joinHost" | "revokeHost" | "listRevokedHostKeys"
>;

/** The part of AuthService about hosts. Without an authority the list of revoked keys is empty, and all other calls are refused. */
export function hostCalls(
  given: { readonly hosts: HostMembership; readonly settings: HostSettings } | undefined,
): HostCalls {
  const guard = new LoginGuard();
  const known = () => {
    if (given) return given;
    throw new AppError(
      "precondition",
      "NO_AUTHORITY",
      "this cluster has no authority that could certify a host; berth init makes one",
    );
  };
  return {
    async createHostToken({ host, ttlMs, by }) {
      const { token, expiresAt } = await known().hosts.createToken({ host, ttlMs, by });
      return { token, expireTime: expiresAt };
    },
    async joinHost({ address, ...request }) {
      const { hosts, settings } = known();
      // Not against guesses, which are hopeless: it limits the cpu for verifying strangers' signatures.
      const attempt = guard.begin(`host at ${address}`, address, performance.now());
      const { host, certificatePem, busJwt, expiresAt } = await hosts.join(request);
      attempt.succeeded();
      return { credentials: { host, certificatePem, busJwt, expireTime: expiresAt, ...settings } };
    },
    async revokeHost({ hostId, by }) {
      await known().hosts.revoke(hostId, by);
      return {};
    },
    listRevokedHostKeys: async () => ({ keyHashes: given ? await given.hosts.revokedKeyHashes() : [] }),
  };
}
