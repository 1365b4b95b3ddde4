import { AppError } from "@berth/core";
import { AuthServiceService } from "@berth/contracts/auth";
import { grpcChannel, grpcClient } from "@berth/runtime";
import type { Closing, IsRevoked, Logger, Trust } from "@berth/runtime";

/** A host that is revoked is refused after so long at the latest, where auth answers. */
const askEveryMs = 2_000;
/** A list that is older counts no longer: somebody may have been revoked since. */
const staleMs = 60_000;

/**
 * Asks auth again and again which hosts are revoked. Before its first answer, and when it has not answered for a minute, hosts are told to come back
 * (`unavailable` NOT_READY): they keep their output, and send it then. Throws `invalid` CONFIG_INVALID without addresses.
 */
export function followRevokedHosts(
  addresses: string | undefined,
  trust: Trust,
  { closing, logger }: { readonly closing: Closing; readonly logger: Logger },
): IsRevoked {
  if (!addresses)
    throw new AppError("invalid", "CONFIG_INVALID", "BERTH_AUTH: is missing; auth says which hosts are revoked");
  const auth = grpcClient(AuthServiceService, grpcChannel(addresses, { closing, ...trust.to("auth") }), {
    service: "auth",
    authorization: trust.authorization,
    idempotent: true,
    deadlineMs: 5_000,
  });
  let known: { readonly hashes: ReadonlySet<string>; readonly atMs: number } | undefined;
  let failing = false;
  let asking = false;

  async function ask(): Promise<void> {
    if (asking) return;
    asking = true;
    const atMs = performance.now();
    try {
      known = { hashes: new Set((await auth.listRevokedHostKeys({})).keyHashes), atMs };
      failing = false;
    } catch (error) {
      if (!failing) logger.warn("auth does not say which hosts are revoked; asking again", { error });
      failing = true;
    } finally {
      asking = false;
    }
  }
  const timer = setInterval(() => void ask(), askEveryMs).unref();
  closing.add(() => clearInterval(timer));
  void ask();

  return (keyHash) => {
    if (!known || performance.now() - known.atMs > staleMs)
      throw new AppError("unavailable", "NOT_READY", "storage does not know yet which hosts are revoked");
    return known.hashes.has(keyHash);
  };
}
