import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { AppError, secretFileFault } from "@berth/core";
import { fingerprintOf, isBusKey, openAuthority, openBusAccounts, requestKeyHash } from "@berth/identity";
import type { BusAccounts, StoredBusKeys } from "@berth/identity";
import type { HostAuthority } from "../../ports/host-authority.ts";

/**
 * Opens the authority that `berth init` wrote into `dir`. It signs certificates and bus accounts of hosts. Throws `invalid` BAD_AUTHORITY if a file is missing, or if
 * other users may read it.
 */
export async function openHostAuthority(
  dir: string,
  { cluster, lifeMs }: { readonly cluster: string; readonly lifeMs: number },
): Promise<{ readonly authority: HostAuthority; readonly bus: BusAccounts }> {
  const read = (name: string): string => {
    const path = join(dir, name);
    try {
      const exposed = name === "ca.pem" ? undefined : secretFileFault(path, statSync(path));
      if (exposed !== undefined) throw new Error(exposed);
      return readFileSync(path, "utf8");
    } catch (error) {
      throw new AppError("invalid", "BAD_AUTHORITY", `BERTH_AUTHORITY_DIR: ${(error as Error).message}`);
    }
  };
  const certificates = await openAuthority({ keyPem: read("ca-key.pem"), certificatePem: read("ca.pem") });
  const bus = await openBusAccounts(JSON.parse(read("bus-keys.json")) as StoredBusKeys);
  return {
    bus,
    authority: {
      certificatePem: certificates.certificatePem,
      fingerprint: fingerprintOf(certificates.certificatePem),
      keyHashOf: requestKeyHash,
      isBusKey,
      async issue(host, csrPem, busKey, now) {
        const identity = { cluster, role: "agent", host } as const;
        const { certificatePem, notAfter } = await certificates.issueHost(csrPem, identity, { now, lifeMs });
        return { certificatePem, expiresAt: notAfter, busJwt: await bus.userJwt(busKey, identity, notAfter) };
      },
    },
  };
}
