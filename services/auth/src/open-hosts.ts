import { AppError } from "@berth/core";
import { busLogin, keepBusAccount } from "@berth/nats";
import type { Closing, Logger, Trust } from "@berth/runtime";
import type { HostSettings } from "./adapters/grpc/host-calls.ts";
import { openHostAuthority } from "./adapters/identity/host-authority.ts";
import { joinHosts } from "./app/join-hosts.ts";
import type { HostMembership } from "./app/join-hosts.ts";
import type { AuthConfig } from "./config.ts";
import type { HostKeys } from "./ports/host-keys.ts";

/** Opens the membership of hosts; undefined if the settings name no authority. Keeps nats-server's list of revoked hosts up to date. */
export async function openHosts(
  config: AuthConfig,
  keys: HostKeys,
  { trust, closing, logger }: { readonly trust: Trust; readonly closing: Closing; readonly logger: Logger },
): Promise<{ readonly hosts: HostMembership; readonly settings: HostSettings } | undefined> {
  const { authorityDir, clusterId, natsUrl, storage } = config;
  if (authorityDir === undefined) return undefined;
  if (!trust.identity || !clusterId || !natsUrl || !storage)
    throw new AppError(
      "invalid",
      "CONFIG_INVALID",
      "with BERTH_AUTHORITY_DIR, BERTH_IDENTITY_DIR, BERTH_CLUSTER_ID, BERTH_NATS_URL and BERTH_STORAGE must be set",
    );
  const { authority, bus } = await openHostAuthority(authorityDir, {
    cluster: clusterId,
    lifeMs: config.hostCertificateMs,
  });
  const now = () => new Date();
  const account = keepBusAccount({
    servers: natsUrl,
    ...busLogin(config, trust.identity),
    accountJwt: async () =>
      bus.accountJwt(
        Object.fromEntries(
          (await keys.revoked(now())).map(({ busKey, revokedAt }) => [busKey, Math.ceil(revokedAt!.getTime() / 1_000)]),
        ),
      ),
    closing,
    logger,
  });
  const onRevoked = (): Promise<void> =>
    account
      .update()
      .catch((error: unknown) =>
        logger.error("nats-server does not know yet that a host was revoked; it is told when it answers", { error }),
      );
  return {
    hosts: joinHosts({ keys, authority, onRevoked, now, logger }),
    settings: { authorityPem: authority.certificatePem, clusterId, natsUrl, storage },
  };
}
