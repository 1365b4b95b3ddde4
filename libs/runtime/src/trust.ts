import { experimental } from "@grpc/grpc-js";
import type { ChannelCredentials, ServerCredentials } from "@grpc/grpc-js";
import { AppError } from "@berth/core";
import { mayCall, serviceDnsName } from "@berth/contracts";
import type { Identity, ServiceRole } from "@berth/contracts";
import type { Closing } from "./closing.ts";
import { internalAuthorization, isOpenMethod, requireInternal } from "./grpc-access.ts";
import type { Admit } from "./grpc-admission.ts";
import { openIdentity } from "./identity-files.ts";
import type { Logger } from "./logger.ts";

export interface TrustKeys {
  readonly clusterSecret?: string | undefined;
  readonly identityDir?: string | undefined;
}

/** How a process proves its identity to the other processes of its cluster, and verifies theirs. */
export interface Trust {
  /** Undefined if the processes share one secret. */
  readonly identity: Identity | undefined;
  /** Validity of the certificate in use; it changes with the files. */
  readonly validity?: () => { readonly notBefore: Date; readonly notAfter: Date };
  /** Header for calls to other services; undefined if certificates are used. */
  readonly authorization: string | undefined;
  /** Credentials for a channel to a service. */
  to(role: ServiceRole): { readonly credentials?: ChannelCredentials; readonly serverName?: string };
  /** Credentials of a server that only the cluster's own processes call. */
  readonly door: {
    readonly admit: Admit;
    readonly credentials?: ServerCredentials;
    readonly limits?: { readonly namesCaller: true };
  };
  /** Sets the source of revoked hosts. Until it is set, no host may call. */
  refuseRevoked(isRevoked: IsRevoked): void;
  /** Credentials of a server that users call. */
  readonly publicDoor: { readonly credentials?: ServerCredentials };
}

/** Whether a host's certificates are revoked, by the SHA-256 of its public key. Throws while that is not known yet. */
export type IsRevoked = (keyHash: string) => boolean;

/**
 * Uses certificates if the settings name an identity directory: each process may then call what `serviceAccess` allows its role. Else uses the cluster's
 * secret, for one machine only: every process that has it may call everything. Throws `invalid` CONFIG_INVALID if there is neither.
 */
export function openTrust(
  { clusterSecret, identityDir }: TrustKeys,
  options: {
    readonly role: ServiceRole | "agent";
    readonly closing: Closing;
    readonly logger: Logger;
  },
): Trust {
  if (identityDir !== undefined) return byCertificate(identityDir, options);
  if (clusterSecret === undefined)
    throw new AppError("invalid", "CONFIG_INVALID", "BERTH_CLUSTER_SECRET: is missing, and BERTH_IDENTITY_DIR, too");
  return {
    identity: undefined,
    authorization: internalAuthorization(clusterSecret),
    to: () => ({}),
    door: { admit: requireInternal(clusterSecret) },
    refuseRevoked: () => {},
    publicDoor: {},
  };
}

function byCertificate(dir: string, { role, closing, logger }: Parameters<typeof openTrust>[1]): Trust {
  let isRevoked: IsRevoked = () => {
    throw new AppError("unavailable", "NOT_READY", "this service does not know which hosts are revoked");
  };
  const files = openIdentity(dir, { closing, logger });
  const { identity } = files;
  if (identity.role !== role)
    throw new AppError("invalid", "BAD_IDENTITY", `the identity in ${dir} is of ${identity.role}, and this is ${role}`);
  const credentials = experimental.createCertificateProviderChannelCredentials(files, files);
  return {
    identity,
    validity: () => ({ notBefore: files.notBefore, notAfter: files.notAfter }),
    authorization: undefined,
    // Verifies the name of the role, not the address, which may be numeric and may change. No agent's certificate has such a name.
    to: (peer) => ({ credentials, serverName: serviceDnsName(peer) }),
    door: {
      admit: admitByCertificate(identity.cluster, (keyHash) => isRevoked(keyHash)),
      limits: { namesCaller: true },
      // Its declaration swaps the first two arguments; here they are the same.
      credentials: experimental.createCertificateProviderServerCredentials(files, files, true),
    },
    refuseRevoked: (given) => void (isRevoked = given),
    publicDoor: { credentials: experimental.createCertificateProviderServerCredentials(files, null, false) },
  };
}

/** Admits callers by the table `serviceAccess`. Names an agent as `agent/HOST`. */
export function admitByCertificate(cluster: string, isRevoked: IsRevoked): Admit {
  return (path, _, peerOf) => {
    if (isOpenMethod(path)) return undefined;
    const peer = peerOf();
    if (!peer || peer.identity.cluster !== cluster)
      throw new AppError("unauthenticated", "NO_CERTIFICATE", "this call needs a certificate of this cluster");
    const { identity } = peer;
    if (peer.notAfter.getTime() < Date.now())
      throw new AppError(
        "unavailable",
        "NO_CERTIFICATE",
        `the certificate of ${nameOf(identity)} on this connection has expired`,
      );
    if (!mayCall(identity.role, path))
      throw new AppError("denied", "NOT_FOR_THIS_IDENTITY", `${nameOf(identity)} may not call ${path}`);
    if (identity.role === "agent" && isRevoked(peer.keyHash))
      throw new AppError("unauthenticated", "CERTIFICATE_REVOKED", `the certificate of ${nameOf(identity)} is revoked`);
    return { user: nameOf(identity) };
  };
}

const nameOf = (identity: Identity): string => (identity.role === "agent" ? `agent/${identity.host}` : identity.role);
