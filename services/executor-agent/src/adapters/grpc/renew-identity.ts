import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "@berth/core";
import { HostServiceService } from "@berth/contracts/api";
import { openTrustedChannel } from "@berth/contracts/channel";
import type { HostCredentials } from "@berth/contracts/types";
import { authorityFile, busCredentialsFile, grpcClient, identityFile, sleep } from "@berth/runtime";
import type { Closing, Logger, Trust } from "@berth/runtime";

/** After so much of a certificate's life it is renewed. */
const renewAfter = 2 / 3;
const longestLookMs = 3_600_000;
const retryMs = 60_000;

/**
 * Renews this host's certificate and its credentials on the bus by its own key, until the signal: the request that it joined with is sent again. The files are replaced
 * by rename; whoever uses them reads them again. What fails is logged and tried again; a host that is revoked is told so until it is stopped.
 */
export async function keepIdentityRenewed(
  dir: string,
  gateways: string,
  trust: Trust,
  { closing, logger, signal }: { readonly closing: Closing; readonly logger: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const channel = openTrustedChannel(gateways, readFileSync(authorityFile(dir), "utf8"));
  closing.add(() => channel.close());
  const hosts = grpcClient(HostServiceService, channel, { service: "gateway", idempotent: ["JoinHost"] });

  async function renew(): Promise<void> {
    const request = {
      token: "",
      host: "",
      csrPem: readFileSync(join(dir, "request.pem"), "utf8"),
      busKey: readFileSync(join(dir, "bus.pub"), "utf8").trim(),
    };
    const { credentials } = await hosts.joinHost(request, { signal });
    if (!credentials) throw new AppError("internal", "PEER_FAILED", "the gateway sent no credentials");
    store(dir, credentials);
    logger.info("this host's certificate was renewed", { ends: credentials.expireTime?.toISOString() });
  }

  while (!signal.aborted) {
    const { notBefore, notAfter } = trust.validity!();
    const lifeMs = notAfter.getTime() - notBefore.getTime();
    const dueMs = notBefore.getTime() + renewAfter * lifeMs - Date.now();
    let waitMs = Math.min(longestLookMs, Math.max(dueMs, 0) + Math.random() * 0.05 * lifeMs);
    if (dueMs <= 0) {
      try {
        await renew();
        waitMs = Math.min(longestLookMs, lifeMs / 10); // until the new files are read
      } catch (error) {
        if (signal.aborted) return;
        logger.error("this host's certificate could not be renewed; trying again", {
          ends: notAfter.toISOString(),
          error,
        });
        waitMs = Math.min(retryMs, lifeMs / 20);
      }
    }
    await sleep(waitMs, signal).catch(() => {});
  }
}

function store(dir: string, { certificatePem, authorityPem, busJwt }: HostCredentials): void {
  const key = /^-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----\n/.exec(
    readFileSync(identityFile(dir), "utf8"),
  );
  if (!key) throw new AppError("invalid", "BAD_IDENTITY", `${identityFile(dir)} has no key`);
  const bus = readFileSync(busCredentialsFile(dir), "utf8");
  const replaced = bus.replace(
    /(-----BEGIN NATS USER JWT-----\n)\S+(\n)/,
    (_, begin: string, end: string) => begin + busJwt + end,
  );
  put(busCredentialsFile(dir), replaced);
  put(identityFile(dir), key[0] + certificatePem + authorityPem);
}

function put(path: string, content: string): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}
