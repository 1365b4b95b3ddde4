import { createHash } from "node:crypto";
import type { X509Certificate } from "node:crypto";
import type { ServerHttp2Session } from "node:http2";
import { identityIn } from "@berth/contracts";
import type { Identity } from "@berth/contracts";

/** The peer of a connection, by its certificate from the cluster's authority. */
export interface TlsPeer {
  readonly identity: Identity;
  /** SHA-256 of its public key in DER, in hexadecimal. */
  readonly keyHash: string;
  readonly notAfter: Date;
}

interface TlsSocketLike {
  readonly encrypted?: boolean;
  readonly authorized?: boolean;
  getPeerX509Certificate?(): X509Certificate | undefined;
}

const known = new WeakMap<ServerHttp2Session, TlsPeer | "nobody">();

/**
 * The peer of a session. Its certificate is read once. Undefined without TLS and without a certificate. A connection whose certificate has expired is closed once
 * its open calls have ended.
 */
export function tlsPeerOf(session: ServerHttp2Session | undefined): TlsPeer | undefined {
  if (!session) return undefined;
  let peer = known.get(session);
  if (peer === undefined) {
    peer = read(session.socket as TlsSocketLike) ?? "nobody";
    known.set(session, peer);
  }
  if (peer === "nobody") return undefined;
  // By now the client has a renewed certificate, which it uses on a new connection.
  if (peer.notAfter.getTime() < Date.now()) session.close();
  return peer;
}

function read(socket: TlsSocketLike): TlsPeer | undefined {
  if (socket.encrypted !== true || socket.authorized !== true) return undefined;
  const certificate = socket.getPeerX509Certificate?.();
  const identity = identityIn(certificate?.subjectAltName);
  if (!certificate || !identity) return undefined;
  return { identity, keyHash: keyHashOf(certificate), notAfter: new Date(certificate.validTo) };
}

const keyHashOf = ({ publicKey }: X509Certificate): string =>
  createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");
